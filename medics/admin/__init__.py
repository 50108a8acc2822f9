from . import catalogue, facilities, referrals, staff

__all__ = ["catalogue", "facilities", "referrals", "staff"]

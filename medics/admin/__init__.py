from . import catalogue, facilities, history, referrals, staff

__all__ = ["catalogue", "facilities", "history", "referrals", "staff"]

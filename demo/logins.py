"""The accounts to try the service with; every one of the demo network has this password."""

from typing import NamedTuple

PASSWORD = "Demo-Pass1"


class Login(NamedTuple):
    role: str
    full_name: str
    phone_number: str


PRACTITIONER = Login("Practitioner", "Ama Mensah", "0244000001")
TECHNICIAN = Login("Technician", "Kofi Boateng", "0244000002")
ADMINISTRATOR = Login("Facility administrator", "Efua Asante", "0244000003")
OPERATOR = Login("Operator (admin site)", "Kwame Owusu", "0244000004")

LOGINS = (PRACTITIONER, TECHNICIAN, ADMINISTRATOR, OPERATOR)

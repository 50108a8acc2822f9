import os
import time

from django.db import connection
from django.http import HttpResponse
from django.urls import path
from rest_framework.decorators import api_view, authentication_classes, permission_classes

SECONDS = float(os.environ.get("HANG_SECONDS", "1.2"))


def sleep_in_the_database(request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(%s)", [SECONDS])
    return HttpResponse()


def wait_for_a_lock(request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM medics_facility FOR UPDATE")
    return HttpResponse()


def compute_for_ever(request):
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        pass
    return HttpResponse()


def ask_for_each_row(request):
    with connection.cursor() as cursor:
        for _ in range(3):
            cursor.execute("SELECT 1")
    return HttpResponse()


@api_view()
@authentication_classes([])
@permission_classes([])
def sleep_in_the_api(request):
    return sleep_in_the_database(request)


def ask_for_one_row(request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse()


def answer_at_once(request):
    return HttpResponse()


urlpatterns = [
    path("database", sleep_in_the_database),
    path("database-in-the-api", sleep_in_the_api),
    path("many-queries", ask_for_each_row),
    path("one-row", ask_for_one_row),
    path("lock", wait_for_a_lock),
    path("python", compute_for_ever),
    path("nothing", answer_at_once),
]

from django.http import JsonResponse
from django.urls import path

from _tetradx.urls import urlpatterns as faultless


def numbered_names(request):
    message = "Facilities retrieved successfully"
    answer = {"status": "success", "message": message, "data": [{"id": "1", "name": 1}]}
    return JsonResponse(answer, headers={"X-Request-ID": "1"})


urlpatterns = [path("api/medics/facilities", numbered_names), *faultless]

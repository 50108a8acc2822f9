from django.urls import path

from . import views

app_name = "utilities"

urlpatterns = [
    path("add-test-types", views.AddTestTypesView.as_view(), name="add-test-types"),
]

from django.urls import path

from . import views

app_name = "auth"

urlpatterns = [
    path("auth/register", views.RegisterView.as_view(), name="user-register"),
    path("auth/login", views.LoginView.as_view(), name="login"),
    path("auth/token/refresh", views.TokenRefreshView.as_view(), name="token-refresh"),
    path("auth/logout", views.LogoutView.as_view(), name="logout"),
    path("refresh", views.ClientRefreshView.as_view(), name="client-refresh"),
]

"""Clients of a running service."""

import http.client
import json
from contextlib import closing


class Caller:
    """Sends JSON and returns (status, answer); each request has its own connection."""

    def __init__(self, host: str, port: int):
        self.address = host, port
        self.token: str | None = None

    def __call__(self, method: str, path: str, body: object = None) -> tuple[int, dict]:
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        payload = None if body is None else json.dumps(body)
        with closing(http.client.HTTPConnection(*self.address, timeout=30)) as connection:
            connection.request(method, path, payload, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    def log_in(self, phone_number: str, password: str) -> None:
        status, answer = self(
            "POST", "/api/auth/login", {"phone_number": phone_number, "password": password}
        )
        assert status == 200, answer
        self.token = answer["data"]["access_token"]


class RawClient:
    """Sends bodies as they are, valid or not, over one connection; returns the status."""

    def __init__(self, address):
        self.connection = http.client.HTTPConnection(*address, timeout=30)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def __call__(self, method, path, body=b"", **headers):
        sent = {"Content-Type": "application/json"} | headers
        try:
            self.connection.request(method, path, body, sent)
            answer = self.connection.getresponse()
            answer.read()
            return answer.status
        except (ConnectionError, http.client.HTTPException):
            self.connection.close()
            return None

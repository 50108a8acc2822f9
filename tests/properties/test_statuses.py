"""The contract's status rules as a model, and the API beside it, under whatever people do."""

from django.db import transaction
from django.urls import reverse
from hypothesis import strategies as some
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from medics.models import StatusChange, TestStatus

PENDING, RECEIVED, COMPLETED = TestStatus.values
TESTS = 2

concerned = some.sampled_from(["ama", "kofi", "efua"])
statuses = some.sampled_from(TestStatus.values)
tests = some.integers(0, TESTS - 1)
# No status, in a body or in place of one.
junk = some.sampled_from(
    [{}, {"status": None}, {"status": ""}, {"status": "Cancelled"}, {"status": "completed"}, []]
)


class Statuses(RuleBasedStateMachine):
    def __init__(self, clients, names, referral):
        super().__init__()
        self.undone = transaction.atomic()
        self.undone.__enter__()
        self.clients, self.names = clients, names
        self.url = reverse("medics:get-update-referral", args=[referral.id])
        self.test_ids = list(referral.tests.order_by("id").values_list("id", flat=True))
        self.test_names = list(referral.tests.order_by("id").values_list("test__name", flat=True))
        # The model: where referral and tests stand, and who moved what from where.
        self.status, self.of_tests = PENDING, [PENDING] * TESTS
        self.history = []

    def teardown(self):
        transaction.set_rollback(True)
        self.undone.__exit__(None, None, None)

    def put(self, who, url, body):
        return self.clients[who].put(url, body)

    def put_test(self, who, test, body):
        url = reverse("medics:update-test-status", args=[self.test_ids[test]])
        return self.put(who, url, body)

    @rule(who=concerned, status=statuses)
    def move_the_referral(self, who, status):
        answer = self.put(who, self.url, {"status": status})
        still_open = [
            name
            for name, of_test in zip(self.test_names, self.of_tests, strict=True)
            if of_test != COMPLETED
        ]
        if status == self.status:
            assert answer.status_code == 200
        elif self.status == COMPLETED:
            assert answer.status_code == 400
        elif status == COMPLETED and still_open:
            assert answer.status_code == 400
            assert all(name in answer.json()["detail"]["status"][0] for name in still_open)
        else:
            assert answer.status_code == 200
            self.history.append((self.names[who], self.status, status))
            self.status = status

    @rule(who=concerned, test=tests, status=statuses)
    def move_a_test(self, who, test, status):
        answer = self.put_test(who, test, {"status": status})
        if self.status == COMPLETED or status == self.of_tests[test]:
            assert answer.status_code == 400
        else:
            assert answer.status_code == 200
            self.history.append((self.names[who], self.of_tests[test], status))
            self.of_tests[test] = status

    @rule(who=concerned)
    def complete_all(self, who):
        for test in range(TESTS):
            self.move_a_test(who, test, COMPLETED)
        self.move_the_referral(who, COMPLETED)

    @rule(status=statuses, test=tests)
    def have_somebody_else_try(self, status, test):
        assert self.put("yaw", self.url, {"status": status}).status_code == 403
        assert self.put_test("yaw", test, {"status": status}).status_code == 400

    @rule(who=concerned, body=junk, test=tests)
    def send_no_status(self, who, body, test):
        assert self.put(who, self.url, body).status_code == 400
        assert self.put_test(who, test, body).status_code == 400

    @invariant()
    def all_see_what_the_model_says(self):
        seen = self.clients["ama"].get(self.url).json()["data"]
        by_id = {test["test_id"]: test["status"] for test in seen["tests"]}
        assert seen["status"] == self.status
        assert [by_id[test_id] for test_id in self.test_ids] == self.of_tests
        assert (seen["completed_at"] is not None) == (self.status == COMPLETED)

    @invariant()
    def each_change_stands_in_the_history(self):
        changes = StatusChange.objects.order_by("id")
        assert self.history == list(
            changes.values_list("changed_by__full_name", "from_status", "to_status")
        )


def test_any_sequence_of_changes_obeys_the_rules(signed_in, ama, kofi, efua, yaw, referral):
    users = {"ama": ama, "kofi": kofi, "efua": efua, "yaw": yaw}
    clients = {name: signed_in(user) for name, user in users.items()}
    names = {name: user.full_name for name, user in users.items()}
    run_state_machine_as_test(lambda: Statuses(clients, names, referral))

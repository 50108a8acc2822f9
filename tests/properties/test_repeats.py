"""The contract's "Repeats" as a model, and the API beside it; time is moved by the rows' expiry."""

from datetime import timedelta

from django.db import transaction
from django.db.models import F
from django.urls import reverse
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from medics.idempotency.creation import BODY_LIFETIME, KEY_LIFETIME
from medics.models import Referral, ReferralRequest

people = some.sampled_from(["ama", "yaw"])
keys = some.sampled_from([None, None, "one", "two"])
# What is said, and in which words: bodies that say the same are repeats.
said, words = some.integers(0, 2), some.integers(0, 2)
# No sums of these come near a lifetime.
durations = some.sampled_from([timedelta(seconds=50), timedelta(seconds=130), timedelta(hours=25)])


class Repeats(RuleBasedStateMachine):
    def __init__(self, clients, branch, tests):
        super().__init__()
        self.undone = transaction.atomic()
        self.undone.__enter__()
        self.clients, self.branch, self.tests = clients, branch, tests
        self.now = timedelta()
        # The model: (who, key) and (who, what was said) -> what was said, the answer, its end.
        self.by_key, self.by_body = {}, {}
        self.referrals = 0

    def teardown(self):
        transaction.set_rollback(True)
        self.undone.__exit__(None, None, None)

    def body(self, said, words):
        """Three ways to say each of three things."""
        names = ["Akosua Mensah", " akosua  MENSAH", "AKOSUA\u00a0mensah"]
        numbers = ["0208123456", "+233 20 812 3456", "(020) 812-3456"]
        notes = [None, "Fever.", None][said]
        tests = self.tests[:2] if said == 2 else self.tests[:1]
        return {
            "patient_full_name_or_id": names[words],
            "patient_contact_number": numbers[words],
            "tests": [tests, tests[::-1], tests * 2][words],
            "branch_id": [self.branch, str(self.branch), self.branch][words],
            "clinical_notes": f" {notes}\n" if notes and words else notes,
        }

    def known(self, answers, name):
        answer = answers.get(name)
        return answer if answer and answer["end"] > self.now else None

    @rule(who=people, said=said, words=words, key=keys)
    def post(self, who, said, words, key):
        headers = {"Idempotency-Key": key} if key else {}
        answer = self.clients[who].post(
            reverse("medics:create-referral"), self.body(said, words), headers=headers
        )
        by_key = self.known(self.by_key, (who, key)) if key else None
        by_body = self.known(self.by_body, (who, said))
        if by_key and by_key["said"] != said:
            assert answer.status_code == 400
            assert answer.json()["detail"].keys() == {"Idempotency-Key"}
            return
        assert answer.status_code == 201
        assert answer.headers.get("Idempotent-Replayed") == ("true" if by_key else None)
        if first := by_key or by_body:
            assert answer.content == first["content"]
        else:
            self.referrals += 1
        new = {"said": said, "content": answer.content}
        if key and not by_key:
            self.by_key[who, key] = {**new, "end": self.now + KEY_LIFETIME}
        if not by_body:
            self.by_body[who, said] = {**new, "end": self.now + BODY_LIFETIME}

    @rule(who=people, key=keys)
    def post_what_is_refused(self, who, key):
        """It makes nothing, and leaves its key unused."""
        body = {**self.body(0, 0), "tests": [0]}
        headers = {"Idempotency-Key": key} if key else {}
        answer = self.clients[who].post(reverse("medics:create-referral"), body, headers=headers)
        assert answer.status_code == 400

    @rule(duration=durations)
    def let_pass(self, duration):
        self.now += duration
        ReferralRequest.objects.update(expires_at=F("expires_at") - duration)

    @invariant()
    def there_are_as_many_referrals_as_were_not_repeats(self):
        assert Referral.objects.count() == self.referrals


def test_any_sequence_of_requests_makes_each_referral_once(
    signed_in, ama, yaw, branch, blood_count, sickling
):
    clients = {"ama": signed_in(ama), "yaw": signed_in(yaw)}
    tests = [blood_count.id, sickling.id]
    run_state_machine_as_test(lambda: Repeats(clients, branch.id, tests))

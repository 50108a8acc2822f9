"""At 100,000 referrals no statement of the lists, nor of one referral, reads a whole big table."""

import pytest
from django.db import connection, transaction
from django.urls import reverse

from authentication.models import User
from medics.models import Facility, FacilityBranch, Referral
from medics.referral_queries import search
from tests.factories import TechnicianFactory
from tests.support.query_plans import nodes_run
from tests.support.statements import statements

pytestmark = pytest.mark.django_db(transaction=True)

BIG_TABLES = {"medics_referral", "medics_referraltest", "medics_patient", "authentication_user"}

# A scan that stops after a few rows, of which there are enough, is none of a whole table.
FEW_ROWS = 2 * search.MOST_PATIENTS

# 20 facilities of 5 branches and 10 tests, 500 practitioners, 10,000 who have only registered,
# 30,000 patients, 100,000 referrals of one test. A branch has a fifth of them, a practitioner two
# in a hundred. What the triggers keep is written with them, which takes half the time.
NETWORK = """
    SET LOCAL statement_timeout = 0;
    ALTER TABLE authentication_user DISABLE TRIGGER record_creation;
    ALTER TABLE medics_referral DISABLE TRIGGER USER;
    ALTER TABLE medics_referraltest DISABLE TRIGGER USER;
    INSERT INTO authentication_user (
        id, password, is_superuser, full_name, phone_number, phone_key, user_type,
        must_change_password, is_staff, is_active, date_joined, created_at, updated_at
    )
    SELECT md5('practitioner ' || n)::uuid, '', false, 'Dr ' || md5(n::text), '0200' || n,
        '0200' || n, 'Medical Practitioner', false, false, true, now(), now(), now()
    FROM generate_series(1, 500) AS n;
    INSERT INTO authentication_user (
        id, password, is_superuser, full_name, phone_number, phone_key, user_type,
        must_change_password, is_staff, is_active, date_joined, created_at, updated_at
    )
    SELECT md5('registered ' || n)::uuid, '', false, 'Registered ' || n, '0300' || n,
        '0300' || n, 'Medical Practitioner', false, false, true, now(), now(), now()
    FROM generate_series(1, 10000) AS n;
    INSERT INTO medics_facility (id, name, contact_number, created_at)
    SELECT n, 'Laboratory ' || n, '', now() FROM generate_series(1, 20) AS n;
    INSERT INTO medics_facilitybranch (id, facility_id, name, is_active, created_at)
    SELECT n, 1 + (n - 1) / 5, 'Branch ' || n, true, now() FROM generate_series(1, 100) AS n;
    INSERT INTO medics_testtype (id, facility_id, name, description, created_at)
    SELECT n, n, 'HAEMATOLOGY', '', now() FROM generate_series(1, 20) AS n;
    INSERT INTO medics_test (id, test_type_id, name, description, price, created_at)
    SELECT n, 1 + (n - 1) / 10, CASE n % 10 WHEN 1 THEN 'LIPID PANEL' ELSE 'TEST ' || n END, '', 0,
        now()
    FROM generate_series(1, 200) AS n;
    INSERT INTO medics_patient (id, full_name_or_id, contact_number, contact_key, created_at)
    SELECT n, CASE n % 100 WHEN 0 THEN 'Esi Quansah ' ELSE 'Patient ' END || md5(n::text), '', '',
        now()
    FROM generate_series(1, 30000) AS n;
    CREATE TEMPORARY TABLE drawn AS
    SELECT n, upper(substr(md5(n::text), 1, 10)) AS id, 1 + floor(random() * 30000)::int AS patient,
        CASE WHEN random() < 0.2 THEN 1 ELSE 1 + floor(random() * 100)::int END AS branch,
        CASE WHEN random() < 0.02 THEN 1 ELSE 1 + floor(random() * 500)::int END AS practitioner,
        now() - random() * interval '365 days' AS moment,
        floor(random() * 9)::int AS test,
        (ARRAY['Pending', 'Received', 'Completed'])[1 + floor(random() * 3)::int] AS status
    FROM generate_series(1, 100000) AS n;
    INSERT INTO medics_referral (
        id, facility_branch_id, patient_id, referred_by_id, clinical_notes, status, referred_at,
        updated_at, completed_at, test_ids, patient_name_or_id, patient_name_folded
    )
    SELECT drawn.id, branch, patient, md5('practitioner ' || practitioner)::uuid, '', status,
        moment, moment, CASE status WHEN 'Completed' THEN moment END,
        ARRAY[(branch - 1) / 5 * 10 + 1 + test], full_name_or_id, tetradx_fold(full_name_or_id)
    FROM drawn JOIN medics_patient ON medics_patient.id = patient;
    INSERT INTO medics_referraltest (referral_id, test_id, status, created_at, updated_at)
    SELECT id, test_ids[1], 'Pending', referred_at, referred_at FROM medics_referral;
    INSERT INTO medics_referralcount (branch_id, practitioner_id, status, number)
    SELECT facility_branch_id, NULL::uuid, status, count(*) FROM medics_referral GROUP BY 1, 3
    UNION ALL SELECT NULL, referred_by_id, status, count(*) FROM medics_referral GROUP BY 2, 3;
    DROP TABLE drawn;
    -- Else foreign keys are checked as was planned for the small tables of other tests.
    ANALYZE authentication_user, medics_patient, medics_referral, medics_referraltest;
    SET CONSTRAINTS ALL IMMEDIATE;
    ALTER TABLE authentication_user ENABLE TRIGGER record_creation;
    ALTER TABLE medics_referral ENABLE TRIGGER USER;
    ALTER TABLE medics_referraltest ENABLE TRIGGER USER;
"""


@pytest.fixture
def network():
    """Vacuumed, as autovacuum keeps it, so that the plans are those of a service that runs."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(NETWORK)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def long_scans(sql, *, by_a_condition: bool) -> list[str]:
    """What the statement reads many rows of: big tables, or indexes of them, for want of a
    condition; with `by_a_condition`, those that it walks by one, too.
    """
    return [
        f"{node['Node Type']} of {node['Relation Name']}"
        for node in nodes_run(sql)
        if node.get("Relation Name") in BIG_TABLES
        and rows_read(node) > FEW_ROWS
        and (by_a_condition or not (node.keys() & {"Index Cond", "Recheck Cond"}))
    ]


def rows_read(node) -> float:
    removed = [number for key, number in node.items() if key.startswith("Rows Removed by")]
    return (node["Actual Rows"] + sum(removed)) * node["Actual Loops"]


@pytest.fixture
def long_scans_of():
    """Sends a request; gives its data and the long scans of its statements."""

    def long_scans_of(client, url, **query):
        with statements() as sent:
            response = client.get(url, query)
        assert response.status_code == 200, response.json()
        assert len(sent) >= 2
        is_rare = query.get("search_query") in RARE
        found = [scan for sql in sent for scan in long_scans(sql, by_a_condition=is_rare)]
        return response.json()["data"], found

    return long_scans_of


FILTERS = [
    {},
    {"status": "Pending"},
    {"branch_id": 1},
    {"referred_from": "2026-01-01"},
    {"referred_to": "2026-01-01", "status": "Received"},
]
RARE = ["f1c15925", "Esi Quansah c", "nobody of that name", "AAAAAAAAAA"]
BROAD = ["quansah", "panel", "patient", "branch 1", "laboratory", "haematology", "qu", "e", "Dr c4"]
SIGNS = ["%%%", "x_%", "or 1"]
SEARCHES = [{"search_query": text} for text in RARE + BROAD + SIGNS]
PAGES = [{"page_number": 20}, {"page_number": 100_000, "page_size": 100}]
PLAIN = [*FILTERS, *SEARCHES, *PAGES, {"search_query": "panel", "status": "Pending"}]
SORTS = [{"sort_by": "doctor", "sort_type": "asc"}, {"sort_by": "doctor"}, {"sort_type": "asc"}]
SORTED = [
    {**query, **sort}
    for query in ({}, *PAGES, {"status": "Pending"}, *({"search_query": text} for text in RARE))
    for sort in SORTS
]


def test_no_list_and_no_referral_reads_a_whole_big_table(network, long_scans_of, signed_in):
    """One test for all, since the network takes longer than they do."""
    assert Referral.objects.count() == 100_000
    practitioner = User.objects.get(phone_number="02001")
    at_one, at_three, efua = (
        TechnicianFactory(branches=FacilityBranch.objects.filter(pk__in=branches))
        for branches in ([1], [1, 2, 3], [])
    )
    Facility.objects.filter(pk=1).update(admin=efua)

    for route, user, queries in [
        ("practitioner", practitioner, PLAIN),
        ("technician", at_one, PLAIN + SORTED),
        ("technician", at_three, PLAIN + SORTS),
        ("technician", efua, PLAIN + SORTS),
    ]:
        client, url = signed_in(user), reverse(f"medics:get-{route}-referrals")
        for query in queries:
            data, found = long_scans_of(client, url, **query)
            assert found == [], (user, query)
            for page in ("next_cursor", "previous_cursor"):
                if cursor := data["pagination"][page]:
                    _, found = long_scans_of(client, url, cursor=cursor, **query)
                    assert found == [], (user, query, page)

    referral = practitioner.referrals.first()
    url = reverse("medics:get-update-referral", args=[referral.pk])
    for user in (practitioner, TechnicianFactory(branches=[referral.facility_branch])):
        data, found = long_scans_of(signed_in(user), url)
        assert data["referral_id"] == referral.pk
        assert found == []

"""People: their types, numbers and passwords."""

from .rule import Rule, placeholder

KNOWN_TYPES = "('Medical Practitioner', 'Lab Technician', 'Patient')"
# Of MEDICAL_PRACTITIONER as of "medical practitioner".
TYPE_AS_OURS = "initcap(btrim(regexp_replace(user_type, '[^[:alpha:]]+', ' ', 'g')))"

USERS = (
    Rule(
        "user_type_spelled_otherwise",
        "User",
        "spelled as ours",
        f"""
        SELECT id, concat('user_type "', user_type, '"') AS wrong,
            concat('user_type "', {TYPE_AS_OURS}, '"') AS done, {TYPE_AS_OURS} AS user_type
        FROM predecessor_user
        WHERE user_type NOT IN {KNOWN_TYPES} AND {TYPE_AS_OURS} IN {KNOWN_TYPES}
        """,
        ("user_type",),
    ),
    Rule(
        "user_type_unknown",
        "User",
        "as was decided",
        f"""
        SELECT id, concat('user_type "', user_type, '"') AS wrong,
            concat('user_type "', %(unknown_user_type)s, '"') AS done,
            %(unknown_user_type)s AS user_type
        FROM predecessor_user WHERE user_type IS NULL OR user_type NOT IN {KNOWN_TYPES}
        """,
        ("user_type",),
        option="unknown_user_type",
    ),
    Rule(
        "user_without_full_name",
        "User",
        "first and last name put together",
        """
        SELECT id, 'no full_name' AS wrong,
            concat('full_name taken from first_name and last_name, "', name, '"') AS done,
            name AS full_name
        FROM (SELECT id, full_name, btrim(concat_ws(' ', first_name, last_name)) AS name
            FROM predecessor_user) named
        WHERE full_name IS NULL OR full_name = '' AND name <> ''
        """,
        ("full_name",),
    ),
    Rule(
        "user_columns_without_a_place",
        "User",
        "kept in report and history",
        """
        SELECT id,
            concat('no column for username "', username, '", first_name "', first_name,
                '", last_name "', last_name, '", email "', email, '"') AS wrong,
            'kept in this report' AS done
        FROM predecessor_user
        WHERE coalesce(username, '') NOT IN ('', coalesce(phone_number, ''), coalesce(cleaned, ''))
            OR btrim(concat_ws(' ', first_name, last_name)) NOT IN ('', full_name)
            OR email <> ''
        """,
        forgets=("username", "first_name", "last_name", "email"),
    ),
    Rule(
        "user_hash_unreadable",
        "User",
        "kept; needs a new password",
        """
        SELECT id, 'a password hash of a kind that is not read here' AS wrong,
            'kept; nobody logs in by it' AS done
        FROM predecessor_user
        WHERE password NOT LIKE '!%%' AND split_part(password, '$', 1) <> ALL (%(hashers)s)
        """,
    ),
    Rule(
        "phone_number_cleaned",
        "User",
        "separators dropped",
        """
        SELECT id, concat('phone_number "', phone_number, '"') AS wrong,
            concat('phone_number "', cleaned, '"') AS done, cleaned AS phone_number
        FROM predecessor_user WHERE cleaned <> phone_number AND cleaned <> ''
        """,
        ("phone_number",),
    ),
    Rule(
        "phone_number_missing",
        "User",
        "a placeholder in its place",
        f"""
        SELECT id, 'no phone_number' AS wrong,
            concat('phone_number "', {placeholder("id")}, '" in its place') AS done,
            {placeholder("id")} AS phone_number, {placeholder("id")} AS phone_key
        FROM predecessor_user WHERE coalesce(cleaned, '') = ''
        """,
        ("phone_number", "phone_key"),
    ),
    Rule(
        "phone_number_twice",
        "User",
        "a placeholder in its place, and disabled",
        f"""
        SELECT id,
            concat('phone_number "', phone_number, '" is also that of ', keeper,
                ', who keeps it') AS wrong,
            concat('phone_number "', {placeholder("id")}, '" in its place; ',
                CASE WHEN is_active THEN 'disabled' ELSE 'was disabled before' END) AS done,
            {placeholder("id")} AS phone_number, {placeholder("id")} AS phone_key,
            false AS is_active
        FROM (
            SELECT *, row_number() OVER same_number AS place,
                first_value(id) OVER same_number AS keeper
            FROM predecessor_user
            WINDOW same_number AS (PARTITION BY phone_key
                ORDER BY is_number DESC, last_login DESC NULLS LAST, date_joined DESC, id)
        ) numbered WHERE place > 1
        """,
        ("phone_number", "phone_key", "is_active"),
    ),
    Rule(
        "phone_number_is_none",
        "User",
        "kept, and still logs in",
        """
        SELECT id, concat('"', phone_number, '" is no phone number') AS wrong,
            'kept; the user logs in with it as before' AS done
        FROM predecessor_user WHERE NOT is_number AND phone_number = cleaned
        """,
    ),
)

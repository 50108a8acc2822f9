#!/bin/sh
# nginx does not start without the certificate that its configuration names: so name it only where
# there is one. CONF and TLS are other folders in the tests.
set -eu
conf=${CONF:-/run/tetradx}
tls=${TLS:-/etc/nginx/tls}

mkdir -p "$conf"
if [ -s "$tls/fullchain.pem" ] && [ -s "$tls/privkey.pem" ]; then
    listeners=https
else
    listeners=http
fi
echo "include /etc/nginx/site/$listeners.conf;" >"$conf/listeners.conf"

# As the backend has it, so that nobody uploads what would be refused.
echo "client_max_body_size $MAX_BODY_BYTES;" >"$conf/body-size.conf"

# How many requests of one address may be in hand at once.
case $EDGE_REQUESTS_AT_ONCE in
*[!0-9]* | 0* | "" | ?????*)
    echo "EDGE_REQUESTS_AT_ONCE is $EDGE_REQUESTS_AT_ONCE; it is a number from 1 to 9999." >&2
    exit 1
    ;;
esac
echo "limit_conn at_once_per_address $EDGE_REQUESTS_AT_ONCE;" >"$conf/at-once.conf"

# Whose browser clients may read what nginx answers by itself.
{
    echo 'map $http_origin $allowed_origin {'
    echo '    default "";'
    set -f
    for origin in $(echo "${CORS_ALLOWED_ORIGINS:-}" | tr ',' ' '); do
        case $origin in
        *[!][A-Za-z0-9:/._-]*)
            echo "CORS_ALLOWED_ORIGINS names $origin, which is no origin." >&2
            exit 1
            ;;
        esac
        echo "    \"$origin\" \$http_origin;"
    done
    echo '}'
} >"$conf/origins.conf"

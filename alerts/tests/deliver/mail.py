"""An SMTP server (aiosmtpd) with STARTTLS and a login. CERTIFICATE KEY PORT USER PASSWORD [tls] as arguments; each mail that it takes is printed
as a line of JSON. `refuse@…` is no recipient here, `later@…` is none yet."""
import asyncio
import email
import email.policy
import json
import ssl
import sys

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

certificate, key, port, user, password, *mode = sys.argv[1:]


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refuse@"):
            return "550 5.1.1 nobody of this name is here"
        if address.startswith("later@"):
            return "451 4.7.1 come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        told = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": from_the_start or session.ssl is not None,
            "headers": {name.lower(): str(value) for name, value in mail.items()},
            "text": mail.get_content(),
        }
        print(json.dumps(told), flush=True)
        return "250 taken"


def login(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and (data.login.decode(), data.password.decode()) == (user, password)
    return AuthResult(success=good, handled=good)


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
from_the_start = mode == ["tls"]
controller = Controller(
    Handler(),
    hostname="127.0.0.1",
    port=int(port),
    authenticator=login,
    auth_required=True,
    auth_require_tls=not from_the_start,
    **({"ssl_context": context} if from_the_start else {"tls_context": context, "require_starttls": True}),
)
controller.start()
print(json.dumps({"ready": True}), flush=True)
sys.stdin.read()
controller.stop()

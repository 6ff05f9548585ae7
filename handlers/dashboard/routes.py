"""Every URL of the dashboard, once."""

from handlers.base import BaseHandler
from handlers.dashboard.arrivals import ArrivalsPage
from handlers.dashboard.events import EventsAsCsv, EventsAsJsonl, EventsPage
from handlers.dashboard.fleet import AttentionPart, FleetPage
from handlers.dashboard.keys import KeyPage, KeyQrCode, KeysPage, RevokeKey
from handlers.dashboard.locks import LockPage, NewCredential, OpenNow
from handlers.dashboard.new_key import NewKeyPage
from handlers.dashboard.sign_in import SignInPage, SignOut
from handlers.dashboard.stream import DashboardStream

DASHBOARD_ROUTES: list[tuple[str, type[BaseHandler]]] = [
    ("/dashboard", FleetPage),
    ("/dashboard/attention", AttentionPart),
    ("/dashboard/stream", DashboardStream),
    ("/dashboard/locks/{lock_id}", LockPage),
    ("/dashboard/locks/{lock_id}/open", OpenNow),
    ("/dashboard/locks/{lock_id}/credential", NewCredential),
    ("/dashboard/arrivals", ArrivalsPage),
    ("/dashboard/keys", KeysPage),
    ("/dashboard/keys/new", NewKeyPage),
    ("/dashboard/keys/{key_uuid}", KeyPage),
    ("/dashboard/keys/{key_uuid}/qr.svg", KeyQrCode),
    ("/dashboard/keys/{key_uuid}/revoke", RevokeKey),
    ("/dashboard/events", EventsPage),
    ("/dashboard/events.csv", EventsAsCsv),
    ("/dashboard/events.jsonl", EventsAsJsonl),
    ("/dashboard/sign-in", SignInPage),
    ("/dashboard/sign-out", SignOut),
]

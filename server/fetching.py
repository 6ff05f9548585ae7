"""Small documents from elsewhere, such as the keys of an identity provider."""

from tornado.httpclient import HTTPError
from tornado.iostream import StreamClosedError
from tornado.simple_httpclient import SimpleAsyncHTTPClient

_FETCH_WITHIN_S = 5.0
_MOST_DOCUMENT_BYTES = 256 * 1024


async def fetch_document(url: str) -> bytes:
    """Get a small document: within seconds, from that very address, and not compressed.

    Raises:
        OSError: it cannot be had.
    """
    client = SimpleAsyncHTTPClient(force_instance=True, max_body_size=_MOST_DOCUMENT_BYTES)
    try:
        answer = await client.fetch(
            url,
            connect_timeout=_FETCH_WITHIN_S,
            request_timeout=_FETCH_WITHIN_S,
            follow_redirects=False,
            decompress_response=False,
        )
    except (HTTPError, StreamClosedError) as error:
        raise ConnectionError(str(error)) from error
    finally:
        client.close()
    return answer.body

//! Answers that go out before the request's body has come to its end.
//!
//! Once a handler has dropped a chunked payload, actix-http reads on to the body's end and throws it away, however long that takes
//! and however much that is, whatever the answer says about the connection: one byte a minute would hold a socket for good. A
//! payload that is still held when the answer's last byte is written makes it hang up instead: `Connection: close`, then at most
//! `client_disconnect_timeout` of reading, so that the answer is not lost to a reset, and the end.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::Payload;
use actix_web::http::ConnectionType;
use bytes::Bytes;

/// The same answer, and the connection ends in any case: the HTTP library sets no time for the head of a second request, so a
/// stranger gets none.
pub(super) fn last(mut response: HttpResponse) -> HttpResponse {
    response.head_mut().set_connection_type(ConnectionType::Close);
    response
}

/// The same answer, after which the connection ends unless the body had ended before.
pub(super) fn answered(response: HttpResponse, payload: Payload) -> HttpResponse {
    response.map_body(|_, body| BoxBody::new(Answer { body, _payload: payload }))
}

/// The answer's body. It must not turn into plain bytes: that would drop the payload too early, so `try_into_bytes` stays as it is.
struct Answer {
    body: BoxBody,
    _payload: Payload,
}

impl MessageBody for Answer {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_next(cx)
    }
}

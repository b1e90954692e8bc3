//! `POST /hooks/{source}`: the head is judged, the body's bytes are taken exactly as sent, and the gateway decides.
//!
//! The raw payload is read here, not an extractor of actix's: those inflate, decode or cap bodies by rules that are not ours, and
//! a signature covers the bytes as sent.

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderValue, X_FORWARDED_FOR};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use super::{answer, unread};
use crate::gateway::{Entry, Head, Problem, Receiver, Sender};
use crate::model::{Delivery, Headers};

/// Most that is set aside for a body before its bytes are there.
const BODY_CAPACITY_MAX: usize = 64 << 10;

/// One delivery.
pub(super) async fn receive(request: HttpRequest, mut payload: web::Payload, receiver: web::Data<Receiver>) -> HttpResponse {
    let encoding = content_encoding(&request);
    let fields = request.headers();
    let forwarded_for = || fields.get_all(X_FORWARDED_FOR).map(HeaderValue::as_bytes).collect();
    let head = Head {
        source: request.match_info().get("source").unwrap_or_default(),
        method: request.method().as_str(),
        header_bytes: request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum(),
        content_length: content_length(&request),
        content_encoding: encoding.as_deref(),
        sender: Sender { peer: request.peer_addr().map(|peer| peer.ip()), forwarded_for: &forwarded_for },
    };
    let mut entry = match receiver.enter(head).await {
        Ok(entry) => entry,
        Err(told) => return unread::answered(answer::of(told), payload.into_inner()),
    };
    let expected = head.content_length.unwrap_or(0);
    let body = match read_body(&mut payload, expected, &mut entry, &receiver).await {
        Ok(body) => body,
        Err(problem) => return unread::answered(answer::of(receiver.abandon(&entry, problem)), payload.into_inner()),
    };
    let delivery = Delivery {
        id: entry.id,
        method: request.method().as_str().into(),
        headers: headers(&request, &entry),
        body: entry.held.attach(body),
        received_at: entry.received_at,
    };
    answer::of(receiver.receive(entry, delivery).await)
}

/// The body's bytes, within the source's limit, the budget and the deadline. One chunk is taken without a copy.
async fn read_body(payload: &mut web::Payload, expected: u64, entry: &mut Entry, receiver: &Receiver) -> Result<Bytes, Problem> {
    let limit = entry.body_limit();
    let ends = receiver.clock().sleep_until(receiver.body_due(entry));
    tokio::pin!(ends);
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    loop {
        let chunk = tokio::select! {
            biased;
            chunk = payload.next() => chunk,
            () = &mut ends => return Err(Problem::BodyTooSlow),
        };
        let chunk = match chunk {
            None => break,
            Some(Ok(chunk)) => chunk,
            Some(Err(_)) => return Err(Problem::BodyBroken),
        };
        if first.len() + rest.len() + chunk.len() > limit {
            return Err(Problem::BodyTooLarge);
        }
        if !entry.held.grow(chunk.len()) {
            return Err(Problem::Overloaded);
        }
        if first.is_empty() && rest.is_empty() {
            first = chunk;
            continue;
        }
        if rest.is_empty() {
            let expected = usize::try_from(expected).unwrap_or(0).min(BODY_CAPACITY_MAX);
            rest.reserve(expected.max(first.len() + chunk.len()));
            rest.extend_from_slice(&std::mem::take(&mut first));
        }
        rest.extend_from_slice(&chunk);
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

/// Only the fields that the source reads or keeps, every occurrence of them.
fn headers(request: &HttpRequest, entry: &Entry) -> Headers {
    let mut headers = Headers::with_capacity(8);
    for (name, value) in request.headers() {
        if entry.source.wants(name.as_str()) {
            headers.push(name.as_str(), Bytes::copy_from_slice(value.as_bytes()));
        }
    }
    headers
}

fn content_length(request: &HttpRequest) -> Option<u64> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Every content coding of the request; one that cannot be read is as good as an unknown one.
fn content_encoding(request: &HttpRequest) -> Option<String> {
    let all: Vec<_> = request.headers().get_all(CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?").trim()).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

//! Our results as HTTP responses: acknowledgements as recorded, everything else as problem details (RFC 9457).

use actix_web::body::MessageBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::{HttpResponse, HttpResponseBuilder};
use bytes::Bytes;

use crate::gateway::{Answer, Problem, RedriveError};
use crate::ledger::LedgerError;
use crate::model::Headers;

/// What stands before a problem's code in its `type`. The list of codes is docs/problems.md.
const PROBLEM_TYPE: &str = "urn:hookgate:problem:";

/// What a delivery is told.
pub(super) fn of(answer: Answer) -> HttpResponse {
    match answer {
        Answer::Problem(problem) => of_problem(problem),
        Answer::Allow(methods) => {
            let mut response = of_problem(Problem::MethodNotAllowed);
            if let Ok(value) = HeaderValue::from_str(&methods.join(", ")) {
                response.headers_mut().insert(ALLOW, value);
            }
            response
        }
        Answer::Handshake(reply) => {
            let mut response = builder(reply.status);
            if !reply.verified {
                response.force_close();
            }
            with_headers(&mut response, &reply.headers);
            response.body(reply.body)
        }
        Answer::Acked { ack, event, replayed } => {
            let mut response = builder(ack.status);
            with_headers(&mut response, &ack.headers);
            response.insert_header(("hookgate-event-id", event));
            if replayed {
                response.insert_header(("idempotent-replayed", "true"));
            }
            response.body(ack.body)
        }
    }
}

/// An answer as it goes out, for who wants to know it without a listener.
#[derive(Clone, Debug)]
pub struct Told {
    /// The status.
    pub status: u16,
    /// The header fields, but for those of the connection.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// What a delivery would be told.
#[must_use]
pub fn told(answer: Answer) -> Told {
    let response = of(answer);
    let field = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let headers = response.headers().iter().map(field).collect();
    let status = response.status().as_u16();
    Told { status, headers, body: response.into_body().try_into_bytes().unwrap_or_default() }
}

/// A problem of the public listener. It ends the connection: only who was proven keeps one, see `unread::last`.
pub(super) fn of_problem(problem: Problem) -> HttpResponse {
    let mut response = builder(problem.status());
    if let Some(delay) = problem.retry_after() {
        response.insert_header((RETRY_AFTER, delay.as_secs().to_string()));
    }
    response.force_close();
    with_body(&mut response, problem.status(), problem.code(), problem.title())
}

/// A problem of the admin listener, whose operator may know more.
pub(super) fn plain_problem(status: u16, code: &str, title: &str) -> HttpResponse {
    with_body(&mut builder(status), status, code, title)
}

/// A path of the admin listener that takes only this method.
pub(super) fn wrong_method(allowed: &'static str) -> HttpResponse {
    let mut response = builder(405);
    response.insert_header((ALLOW, allowed));
    with_body(&mut response, 405, "method-not-allowed", "Only another method is taken here")
}

/// The store's refusal, to an operator.
pub(super) fn of_ledger_error(error: &LedgerError) -> HttpResponse {
    let status = match error {
        LedgerError::NotFound => 404,
        LedgerError::Ambiguous | LedgerError::BodyPurged | LedgerError::TaskRunning => 409,
        _ => 503,
    };
    plain_problem(status, error.code(), &error.to_string())
}

/// A redrive's refusal, to an operator.
pub(super) fn of_redrive_error(error: &RedriveError) -> HttpResponse {
    match error {
        RedriveError::UnknownHandler(_) => plain_problem(404, "unknown-handler", &error.to_string()),
        RedriveError::NoTask(..) => plain_problem(404, "no-task", &error.to_string()),
        RedriveError::Vanished(..) => plain_problem(409, "handler-vanished", &error.to_string()),
        RedriveError::Unwanted(..) => plain_problem(409, "unwanted", &error.to_string()),
        RedriveError::Ledger(error) => of_ledger_error(error),
    }
}

/// JSON, with the headers that every answer has.
pub(super) fn json<T: serde::Serialize>(value: &T) -> HttpResponse {
    match serde_json::to_vec(value) {
        Ok(body) => builder(200).insert_header((CONTENT_TYPE, "application/json")).body(body),
        Err(error) => plain_problem(500, "internal", &error.to_string()),
    }
}

/// A response with the headers that every answer has.
pub(super) fn builder(status: u16) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(StatusCode::from_u16(status).unwrap_or(StatusCode::OK));
    response.insert_header((CACHE_CONTROL, "no-store"));
    response
}

fn with_headers(response: &mut HttpResponseBuilder, headers: &Headers) {
    for (name, value) in headers.iter() {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_bytes(value)) {
            response.append_header((name, value));
        }
    }
}

fn with_body(response: &mut HttpResponseBuilder, status: u16, code: &str, title: &str) -> HttpResponse {
    let body = serde_json::json!({ "type": format!("{PROBLEM_TYPE}{code}"), "title": title, "status": status });
    response.insert_header((CONTENT_TYPE, "application/problem+json"));
    response.body(body.to_string())
}

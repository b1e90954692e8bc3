//! Bodies that are too large, too slow or of no use, and what is left of them on the connection.

use std::time::Duration;

use super::{LIMITED, assert_refused, rejected};
use crate::helpers::gateway::{ANSWER_DEADLINE, Gateway, problem};
use crate::helpers::http::{self, Connection};
use crate::helpers::sender::{Fields, fields};

#[tokio::test]
async fn a_stated_length_over_the_limit_is_413_before_the_body_is_read_and_ends_the_connection() {
    let gateway = Gateway::start(LIMITED).await;
    let mut connection = Connection::to(gateway.public).await;
    let mut head = http::head("POST", "/hooks/stripe", &fields(&[("X-Canary", "canary")]));
    head.extend(b"Content-Length: 1025\r\n\r\n");
    connection.send(&head).await;
    // Not a byte of the body has been sent.
    assert_refused(&gateway, &connection.answer().await, 413, "body-too-large").await;
    assert!(connection.is_closed().await, "what follows would be read as a request");
    assert_eq!(rejected(&gateway).await, ["body-too-large"]);
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_judged_and_one_more_byte_is_413() {
    let gateway = Gateway::start(LIMITED).await;
    for (bytes, status) in [(1024, 401), (1025, 413)] {
        let answer = gateway.send(&http::request("POST", "/hooks/stripe", &Fields::new(), &vec![b'x'; bytes])).await;
        assert_eq!(answer.status, status, "{bytes}");
        let answer = gateway.send(&http::chunked("POST", "/hooks/stripe", &Fields::new(), &vec![b'x'; bytes], 100)).await;
        assert_eq!(answer.status, status, "{bytes} in chunks");
    }
}

#[tokio::test]
async fn a_chunked_body_over_the_limit_is_413_and_ends_the_connection() {
    let gateway = Gateway::start(LIMITED).await;
    let mut connection = Connection::to(gateway.public).await;
    connection.send(&http::chunked("POST", "/hooks/stripe", &fields(&[("X-Canary", "canary")]), &vec![b'x'; 4096], 512)).await;
    assert_refused(&gateway, &connection.answer().await, 413, "body-too-large").await;
    assert!(connection.is_closed().await);
    assert_eq!(rejected(&gateway).await, ["body-too-large"]);
}

#[tokio::test]
async fn a_slow_body_is_408_once_its_deadline_or_the_answers_has_passed() {
    let gateway = Gateway::start(LIMITED).await;
    let mut connection = Connection::to(gateway.public).await;
    let mut head = http::head("POST", "/hooks/stripe", &Fields::new());
    head.extend(b"Content-Length: 100\r\n\r\ncanary");
    connection.send(&head).await;
    // Stripe is told after 4 s at the latest, so a body that takes longer is of no use.
    gateway.clock.sleeper(ANSWER_DEADLINE, ANSWER_DEADLINE).await;
    gateway.clock.advance(ANSWER_DEADLINE);
    assert_refused(&gateway, &connection.answer().await, 408, "body-too-slow").await;
    assert!(connection.is_closed().await);
    assert_eq!(rejected(&gateway).await, ["body-too-slow"]);
}

#[tokio::test]
async fn a_refused_body_is_never_read_as_a_request() {
    let gateway = Gateway::start(LIMITED).await;
    let inner = gateway.github("smuggled", "push", b"{}");
    let outer: [(&str, &str, Fields, u16); 5] = [
        ("POST", "/hooks/unknown", Fields::new(), 404),
        ("POST", "/hooks/retired", Fields::new(), 410),
        ("PUT", "/hooks/stripe", Fields::new(), 405),
        ("POST", "/hooks/stripe", fields(&[("Content-Encoding", "gzip")]), 415),
        ("POST", "/nowhere", Fields::new(), 404),
    ];
    for (method, path, with, status) in outer {
        let mut connection = Connection::to(gateway.public).await;
        connection.send(&http::request(method, path, &with, &inner)).await;
        assert_eq!(connection.answer().await.status, status, "{path}");
        // Whether the connection is kept is the gateway's to say; the next answer is to the next request.
        connection.send(&http::request("GET", "/healthz", &Fields::new(), b"")).await;
        connection.no_more().await;
        if let Some(answer) = crate::helpers::soon("an answer or the end", connection.try_answer()).await {
            assert_eq!(answer.text(), "ok\n", "{path}");
        }
        assert!(connection.is_closed().await, "{path}: one answer a request");
    }
    let mut over = http::head("POST", "/hooks/stripe", &Fields::new());
    over.extend(b"Content-Length: 1025\r\n\r\n");
    let mut connection = Connection::to(gateway.public).await;
    connection.send(&[over, inner].concat()).await;
    assert_eq!(connection.answer().await.status, 413);
    assert!(connection.is_closed().await);
    assert_eq!(gateway.rows("event"), 0);
}

/// A head whose body comes in chunks, and the first of them.
fn chunked_begin(method: &str, path: &str, with: &Fields, chunk: &[u8]) -> Vec<u8> {
    let mut begin = http::chunked(method, path, with, chunk, chunk.len());
    begin.truncate(begin.len() - "0\r\n\r\n".len());
    begin
}

#[tokio::test]
async fn a_refused_body_without_an_end_holds_no_connection() {
    let gateway = Gateway::start(LIMITED).await;
    let (none, gzip) = (Fields::new(), fields(&[("Content-Encoding", "gzip")]));
    let (large, foreign) = (fields(&[("X-Large", &"x".repeat(40 << 10))]), fields(&[("Host", "example.com")]));
    let cases = [
        (gateway.public, "POST", "/hooks/unknown", &none, 404),
        (gateway.public, "PUT", "/hooks/stripe", &none, 405),
        (gateway.public, "POST", "/hooks/retired", &none, 410),
        (gateway.public, "POST", "/hooks/stripe", &none, 413),
        (gateway.public, "POST", "/hooks/stripe", &gzip, 415),
        (gateway.public, "POST", "/hooks/stripe", &large, 431),
        (gateway.public, "POST", "/nowhere", &none, 404),
        (gateway.public, "POST", "/healthz", &none, 200),
        (gateway.admin, "POST", "/healthz", &none, 405),
        (gateway.admin, "GET", "/healthz", &none, 200),
        (gateway.admin, "GET", "/nowhere", &none, 404),
        (gateway.admin, "GET", "/healthz", &foreign, 403),
    ];
    let all = cases.map(|(to, method, path, with, status)| async move {
        let mut connection = Connection::to(to).await;
        connection.send(&chunked_begin(method, path, with, &[b'x'; 2048])).await;
        assert_eq!(connection.answer().await.status, status, "{method} {path}");
        let ended = connection.drips_until_closed(b"1\r\nx\r\n", Duration::from_millis(20)).await;
        assert!(ended, "{method} {path}: one answer a request");
    });
    futures_util::future::join_all(all).await;

    let mut slow = Connection::to(gateway.public).await;
    slow.send(&chunked_begin("POST", "/hooks/stripe", &none, b"x")).await;
    gateway.clock.sleeper(ANSWER_DEADLINE, ANSWER_DEADLINE).await;
    gateway.clock.advance(ANSWER_DEADLINE);
    assert_eq!(slow.answer().await.status, 408);
    assert!(slow.drips_until_closed(b"1\r\nx\r\n", Duration::from_millis(20)).await);
}

#[tokio::test]
async fn who_sends_a_whole_body_to_the_wrong_place_can_read_the_whole_answer() {
    let gateway = Gateway::start(LIMITED).await;
    let requests = [
        http::request("POST", "/hooks/unknown", &Fields::new(), &[b'x'; 900]),
        http::chunked("POST", "/hooks/unknown", &Fields::new(), &[b'x'; 900], 100),
        http::chunked("POST", "/hooks/unknown", &Fields::new(), &vec![b'x'; 900 << 10], 8 << 10),
    ];
    for request in requests {
        let mut connection = Connection::to(gateway.public).await;
        // The last bytes come once the answer is on its way: they must not turn it into a reset.
        let (most, last) = request.split_at(request.len() - 3);
        connection.send(most).await;
        let answer = connection.answer().await;
        assert_eq!((answer.status, problem(&answer).as_str()), (404, "unknown-source"));
        connection.send(last).await;
        match answer.header("connection") {
            Some("close") => assert!(connection.is_closed().await),
            kept => {
                assert_eq!(kept, None);
                connection.send(&http::request("GET", "/healthz", &Fields::new(), b"")).await;
                assert_eq!(connection.answer().await.text(), "ok\n");
            }
        }
    }
}

#[tokio::test]
async fn who_asks_before_it_sends_too_much_is_told_413() {
    let gateway = Gateway::start(LIMITED).await;
    let mut connection = Connection::to(gateway.public).await;
    let mut head = http::head("POST", "/hooks/stripe", &fields(&[("Expect", "100-continue")]));
    head.extend(b"Content-Length: 1025\r\n\r\n");
    connection.send(&head).await;
    let mut answer = connection.answer().await;
    if answer.status == 100 {
        answer = connection.answer().await;
    }
    assert_refused(&gateway, &answer, 413, "body-too-large").await;
}

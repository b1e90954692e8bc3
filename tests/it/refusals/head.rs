//! What the head decides: path, method, sizes.

use std::time::Duration;

use super::{LIMITED, assert_refused, rejected};
use crate::helpers::gateway::{GITHUB, Gateway, SOURCES, STRIPE, problem, stripe_body};
use crate::helpers::http::{self, Connection};
use crate::helpers::sender::{self, Fields, fields};

#[tokio::test]
async fn an_unknown_source_is_404_and_no_path_trick_reaches_a_known_one() {
    let gateway = Gateway::start(LIMITED).await;
    let signed = sender::stripe(STRIPE, gateway.now_s(), b"{\"id\":\"evt_canary\"}");
    let paths = [
        "/hooks/canary",
        "/hooks/STRIPE",
        "/hooks/stripe/",
        "/hooks/stripe/x",
        "/hooks/../hooks/stripe",
        "/hooks/./stripe",
        "/hooks/x/../stripe",
        "/hooks/..%2fstripe",
        "/hooks/x%2f..%2fstripe",
        "/hooks/%2e%2e/hooks/stripe",
        "/hooks/stripe%00",
        "/hooks/stripe%2f",
        "/hooks/stripe%20",
        "/hooks/stripe;x=1",
        "//hooks/stripe",
        "/hooks//stripe",
        "/hooks/",
        "/hooks",
        "/",
        "/HOOKS/stripe",
        "/hooks/%FF",
    ];
    for path in paths {
        let answer = gateway.send(&http::request("POST", path, &signed, b"{\"id\":\"evt_canary\"}")).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(matches!(problem(&answer).as_str(), "unknown-source" | "not-found"), "{path}: {}", answer.text());
        assert!(!answer.text().contains("canary"), "{path}: {}", answer.text());
    }
    assert_eq!(gateway.rows("event"), 0);
    assert_eq!(rejected(&gateway).await, Vec::<String>::new(), "unknown sources are not logged");
}

#[tokio::test]
async fn a_nul_in_the_path_is_refused() {
    let gateway = Gateway::start(LIMITED).await;
    let mut connection = Connection::to(gateway.public).await;
    connection.send(b"POST /hooks/stripe\0 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").await;
    let answer = connection.answer().await;
    assert!((400..500).contains(&answer.status), "{answer:?}");
    assert_eq!(gateway.rows("event"), 0);
}

#[tokio::test]
async fn a_retired_source_is_410_whatever_comes() {
    let gateway = Gateway::start(LIMITED).await;
    let body = b"{\"canary\":1}";
    let request = http::request("POST", "/hooks/retired", &sender::github(GITHUB, "canary-1", "push", body), body);
    assert_refused(&gateway, &gateway.send(&request).await, 410, "retired").await;
    assert_eq!(rejected(&gateway).await, Vec::<String>::new());
}

#[tokio::test]
async fn another_method_is_405_and_says_which_are_taken() {
    let gateway = Gateway::start(LIMITED).await;
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "CANARY"] {
        let answer = gateway.send(&http::request(method, "/hooks/stripe", &Fields::new(), b"")).await;
        assert_refused(&gateway, &answer, 405, "method-not-allowed").await;
        assert_eq!(answer.header("allow"), Some("POST"), "{method}");
    }
    assert_eq!(rejected(&gateway).await, Vec::<String>::new(), "what ends before step 4 is not logged");
}

#[tokio::test]
async fn an_encoded_body_is_415_though_it_is_signed_as_sent() {
    let gateway = Gateway::start(LIMITED).await;
    // `printf '{"id":"evt_1"}' | gzip -n`, or bytes that only look so: nobody inflates them.
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xabV\xcaLQ\xb2RJ-K\x8a7T\xaa\x05\x00\x85\x0c\x9cB\x0e\x00\x00\x00";
    for coding in ["gzip", "GZIP", "deflate", "br", "zstd", "gzip, identity", "canary"] {
        let mut signed = sender::stripe(STRIPE, gateway.now_s(), gzip);
        signed.push(("Content-Encoding".to_owned(), coding.to_owned()));
        let answer = gateway.send(&http::request("POST", "/hooks/stripe", &signed, gzip)).await;
        assert_refused(&gateway, &answer, 415, "unsupported-encoding").await;
        gateway.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(rejected(&gateway).await, ["unsupported-encoding"; 7]);
    let body = stripe_body("evt_1", "invoice.paid");
    let mut signed = sender::stripe(STRIPE, gateway.now_s(), &body);
    signed.push(("Content-Encoding".to_owned(), "identity".to_owned()));
    let answer = gateway.send(&http::request("POST", "/hooks/stripe", &signed, &body)).await;
    assert_eq!(answer.status, 200, "identity is no encoding");
}

#[tokio::test]
async fn a_head_over_the_limit_is_431() {
    let gateway = Gateway::start(LIMITED).await;
    let large = "canary".repeat(6 << 10);
    let answer = gateway.send(&http::request("POST", "/hooks/stripe", &fields(&[("X-Large", &large)]), b"{}")).await;
    assert_refused(&gateway, &answer, 431, "headers-too-large").await;
    assert_eq!(rejected(&gateway).await, ["headers-too-large"]);
}

#[tokio::test]
async fn a_malformed_request_is_4xx_or_hung_up_on_and_harms_nobody() {
    let gateway = Gateway::start(SOURCES).await;
    let corpus: [&[u8]; 14] = [
        b"canary\r\n\r\n",
        b"POST /hooks/stripe\r\n\r\n",
        b"POST /hooks/stripe HTTP/9.9\r\nHost: x\r\n\r\n",
        b"POST /hooks/stripe HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST /hooks/stripe HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /hooks/stripe HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /hooks/stripe HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\nx",
        b"POST /hooks/stripe HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST /hooks/stripe HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /hooks/stripe HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: canary\r\n\r\n",
        b"POST /hooks/stripe HTTP/1.1\r\nHost: x\r\nX\0: y\r\n\r\n",
        b"POST /hooks/stripe HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ];
    for bytes in corpus {
        let shown = String::from_utf8_lossy(bytes).escape_debug().to_string();
        let mut connection = Connection::to(gateway.public).await;
        connection.send(bytes).await;
        connection.no_more().await;
        if let Some(answer) = crate::helpers::soon(&shown, connection.try_answer()).await {
            assert!((400..500).contains(&answer.status), "{shown}: {answer:?}");
            assert!(!answer.text().contains("canary"), "{shown}: {answer:?}");
        }
    }
    assert_eq!(gateway.rows("event"), 0);
    gateway.accept("evt_1", "invoice.paid").await;
}

#[tokio::test]
async fn too_many_or_too_long_header_fields_are_431() {
    let gateway = Gateway::start(SOURCES).await;
    for (count, bytes) in [(200, 10), (3, 100 << 10)] {
        let many: Fields = (0..count).map(|n| (format!("X-Canary-{n}"), "c".repeat(bytes))).collect();
        let answer = gateway.send(&http::request("POST", "/hooks/stripe", &many, b"{}")).await;
        assert_eq!(answer.status, 431, "{count} fields of {bytes} bytes: {answer:?}");
        assert!(!answer.text().to_lowercase().contains("canary"));
    }
    assert_eq!(gateway.rows("event"), 0);
}

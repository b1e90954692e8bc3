//! Handshakes and tokens over the wire: what a sender is told, what the log says, and what never reaches the disk.

use std::time::Duration;

use hookgate::model::Verdict;
use serde_json::json;

use crate::helpers::cli::Cli;
use crate::helpers::gateway::{Gateway, handler, problem};
use crate::helpers::http::{self, Connection};
use crate::helpers::sender::{self, Fields, fields};
use crate::helpers::target::Target;

const SECRET: &str = "canarySlack0123456789abcdef01234";
const TOKEN: &str = "canary-token-of-gitlab-0123456789";
const CONFIG: &str = concat!(
    r#"
[sources.slack]
provider = "slack"
secrets = [{ literal = "canarySlack0123456789abcdef01234" }]

[sources.meta]
provider = "meta"
secrets = [{ literal = "canaryVerify", slot = "verify" }]

[sources.gitlab]
provider = "gitlab"
secrets = [{ literal = "canary-token-of-gitlab-0123456789", slot = "token" }]

"#,
    include_str!("helpers/meta.toml")
);

fn slack(gateway: &Gateway, body: &[u8]) -> Vec<u8> {
    http::request("POST", "/hooks/slack", &sender::slack(SECRET, gateway.now_s(), "application/json", body), body)
}

fn gitlab(token: &str, id: &str, body: &[u8]) -> Vec<u8> {
    http::request("POST", "/hooks/gitlab", &sender::gitlab(token, id), body)
}

fn meta(query: &str) -> Vec<u8> {
    http::request("GET", &format!("/hooks/meta?{query}"), &Fields::new(), b"")
}

/// Whether any file of the database holds this.
fn is_at_rest(gateway: &Gateway, text: &str) -> bool {
    let folder = gateway.database();
    let files = std::fs::read_dir(folder.parent().expect("a folder")).expect("it is there");
    let mut bytes = files.map(|file| std::fs::read(file.expect("a file").path()).unwrap_or_default());
    bytes.any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
}

#[tokio::test]
async fn a_signed_challenge_is_answered_and_becomes_nothing() {
    let target = Target::start([]).await;
    let gateway = Gateway::start(&format!("{CONFIG}{}", handler("bot", &target.url(), ""))).await;
    let body = br#"{"type":"url_verification","challenge":"CanaryChallenge123"}"#;
    let answer = gateway.send(&slack(&gateway, body)).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "CanaryChallenge123"));
    for (name, value) in [("content-type", "text/plain"), ("x-content-type-options", "nosniff"), ("cache-control", "no-store")] {
        assert_eq!(answer.header(name), Some(value));
    }
    assert_eq!(answer.header("hookgate-event-id"), None);
    let notice = gateway.delivery().await;
    assert_eq!((notice.verdict, notice.status, notice.event), (Some(Verdict::Handshake), 200, None));
    assert_eq!((gateway.rows("event"), target.count()), (0, 0));
    let log = gateway.deliveries().await;
    assert_eq!(log.len(), 1);
    for (name, value) in
        [("verdict", json!("handshake")), ("status", json!(200)), ("event_id", json!(null)), ("reason", json!(null))]
    {
        assert_eq!(log[0][name], value, "{name}");
    }
    assert!(!is_at_rest(&gateway, "CanaryChallenge123"), "no echoed text is kept");
}

#[tokio::test]
async fn a_challenge_that_is_not_signed_is_refused_without_an_echo() {
    let gateway = Gateway::start(CONFIG).await;
    let body = br#"{"type":"url_verification","challenge":"CanaryChallenge123"}"#;
    let signed = sender::slack("another secret", gateway.now_s(), "application/json", body);
    let answer = gateway.send(&http::request("POST", "/hooks/slack", &signed, body)).await;
    assert_eq!((answer.status, problem(&answer).as_str()), (401, "not-authentic"));
    let long = format!("{{\"type\":\"url_verification\",\"challenge\":\"{}\"}}", "Canary".repeat(1700));
    let answer_to_long = gateway.send(&slack(&gateway, long.as_bytes())).await;
    assert_eq!((answer_to_long.status, problem(&answer_to_long).as_str()), (401, "not-authentic"));
    assert!(!format!("{}{}", answer.text(), answer_to_long.text()).contains("Canary"));
    let reasons: Vec<_> = gateway.deliveries().await.iter().map(|row| row["reason"].clone()).collect();
    assert_eq!(reasons, ["handshake-unfit", "signature-mismatch"]);
}

#[tokio::test]
async fn a_pending_source_answers_its_unverified_handshakes_and_nothing_else() {
    let gateway = Gateway::start(CONFIG).await;
    let answer = gateway.send(&meta("hub.mode=subscribe&hub.challenge=115820&hub.verify_token=canaryVerify")).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "115820"));
    assert_eq!(answer.header("content-type"), Some("text/plain"));
    assert_eq!(answer.header("connection"), Some("close"), "a stranger keeps no connection");
    let body = b"{\"entry\":[]}";
    let answer =
        gateway.send(&http::request("POST", "/hooks/meta", &fields(&[("X-Hub-Signature-256", "sha256=00")]), body)).await;
    assert_eq!((answer.status, problem(&answer).as_str()), (503, "source-not-ready"));
    assert_eq!(gateway.rows("event"), 0);
}

#[tokio::test]
async fn a_method_of_a_handshake_alone_is_405_where_it_is_none_and_the_log_says_so() {
    let gateway = Gateway::start(CONFIG).await;
    let wrong = "hub.mode=subscribe&hub.challenge=Canary%3Cscript%3E&hub.verify_token=canaryVerif";
    for query in [wrong, "", "hub.mode=subscribe"] {
        let answer = gateway.send(&meta(query)).await;
        assert_eq!((answer.status, problem(&answer).as_str()), (405, "method-not-allowed"), "{query}");
        assert_eq!(answer.header("allow"), Some("POST, GET"));
        assert!(!answer.text().contains("Canary"));
    }
    let answer = gateway.send(&http::request("PUT", "/hooks/meta", &Fields::new(), b"")).await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST, GET")));
    assert_eq!(gateway.send(&http::request("GET", "/hooks/slack", &Fields::new(), b"")).await.header("allow"), Some("POST"));
    let log = gateway.deliveries().await;
    assert_eq!(log.len(), 3, "what its method alone decides is not logged");
    assert!(log.iter().all(|row| row["verdict"] == "rejected" && row["reason"] == "no-handshake"), "{log:?}");
}

#[tokio::test]
async fn nothing_that_could_split_or_colour_an_answer_goes_back() {
    let gateway = Gateway::start(CONFIG).await;
    for bad in ["1%0d%0aSet-Cookie:%20a=b", "1%0a", "%1b[31m", "%00", &"1".repeat(513), &"1".repeat(10 << 10)] {
        let answer = gateway.send(&meta(&format!("hub.mode=subscribe&hub.verify_token=canaryVerify&hub.challenge={bad}"))).await;
        assert_eq!((answer.status, problem(&answer).as_str()), (401, "not-authentic"), "{bad}");
        assert_eq!(answer.header("set-cookie"), None);
    }
    let answer = gateway.send(&meta("hub.mode=subscribe&hub.verify_token=canaryVerify&hub.challenge=%3Cb%3Ex")).await;
    assert_eq!(answer.text(), "<b>x");
    assert_eq!((answer.header("content-type"), answer.header("x-content-type-options")), (Some("text/plain"), Some("nosniff")));
    assert!(!is_at_rest(&gateway, "canaryVerify"), "the verify token came in the query of each");
}

#[tokio::test]
async fn strangers_fill_no_log_with_handshakes() {
    let gateway = Gateway::start(CONFIG).await;
    let form = fields(&[("Content-Type", "application/x-www-form-urlencoded")]);
    for _ in 0..30 {
        let answer = gateway.send(&http::request("POST", "/hooks/slack", &form, b"ssl_check=1")).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, ""));
    }
    assert_eq!(gateway.deliveries().await.len(), 10, "ten a second, and the clock stands still");
}

#[tokio::test]
async fn slack_is_answered_within_two_seconds() {
    let gateway = Gateway::start(&format!("[limits]\nbody_deadline = \"1s\"\n{CONFIG}")).await;
    let other = gateway.held_database();
    let mut sender = Connection::to(gateway.public).await;
    let body = br#"{"type":"event_callback","event_id":"Ev1","event":{"type":"app_mention"}}"#;
    sender.send(&slack(&gateway, body)).await;
    let due = Duration::from_secs(2);
    gateway.clock.sleeper(due, due).await;
    gateway.clock.advance(due);
    let answer = sender.answer().await;
    assert_eq!((answer.status, problem(&answer).as_str()), (503, "store-busy"));
    other.execute_batch("ROLLBACK").expect("the lock is ours");
    let answer = gateway.send(&slack(&gateway, body)).await;
    assert_eq!((answer.status, answer.header("hookgate-event-id")), (200, Some("slack/Ev1")), "its retry finds out");
}

#[tokio::test]
async fn a_retry_of_slack_meets_its_record() {
    let gateway = Gateway::start(CONFIG).await;
    let body = br#"{"type":"event_callback","event_id":"Ev1","event":{"type":"app_mention"}}"#;
    assert_eq!(gateway.send(&slack(&gateway, body)).await.header("idempotent-replayed"), None);
    let mut signed = sender::slack(SECRET, gateway.now_s() + 60, "application/json", body);
    signed.extend(fields(&[("X-Slack-Retry-Num", "1"), ("X-Slack-Retry-Reason", "http_timeout")]));
    let answer = gateway.send(&http::request("POST", "/hooks/slack", &signed, body)).await;
    assert_eq!((answer.status, answer.header("idempotent-replayed"), answer.text().as_str()), (200, Some("true"), ""));
}

#[tokio::test]
async fn a_token_never_reaches_the_disk_nor_a_handler() {
    let target = Target::start([]).await;
    let asked = "forward_headers = [\"X-Gitlab-Token\", \"X-Gitlab-Event\"]";
    let gateway = Gateway::start(&format!("{CONFIG}{}", handler("deploy", &target.url(), asked))).await;
    let body = br#"{"object_kind":"push"}"#;
    let answer = gateway.send(&gitlab(TOKEN, "one", body)).await;
    assert_eq!((answer.status, answer.header("hookgate-event-id")), (200, Some("gitlab/one")));
    let call = target.call().await;
    assert_eq!((call.header("x-gitlab-token"), call.header("x-gitlab-event")), (None, Some("Push Hook")));
    assert_eq!(call.get("hookgate-event-type"), "push");
    gateway.attempt().await;
    // Sent to the wrong source, and with a mistake in it.
    for (path, token) in [("/hooks/meta", TOKEN), ("/hooks/slack", TOKEN), ("/hooks/gitlab", "canary-token-of-gitlab-012345678")]
    {
        let answer = gateway.send(&http::request("POST", path, &sender::gitlab(token, "two"), body)).await;
        assert!(matches!(answer.status, 401 | 503), "{path}");
        assert!(!answer.text().contains("canary"));
    }
    gateway.write_log().await;
    assert!(!is_at_rest(&gateway, "canary-token"), "neither the right one nor a wrong one");
    assert!(!gateway.event("gitlab", "one").await.to_string().contains("canary"));
}

#[tokio::test]
async fn resign_sets_the_token_anew() {
    let target = Target::start([]).await;
    let of_gitlab = "sources = [\"gitlab\"]\nresign = true";
    let gateway = Gateway::start(&format!("{CONFIG}{}", handler("deploy", &target.url(), of_gitlab))).await;
    gateway.send(&gitlab(TOKEN, "one", br#"{"object_kind":"push"}"#)).await;
    let call = target.call().await;
    assert_eq!(call.get("x-gitlab-token"), TOKEN);
    assert_eq!(call.header("webhook-signature"), None, "one signature of ours a call");
    gateway.attempt().await;
    assert!(!is_at_rest(&gateway, TOKEN));
}

#[tokio::test]
async fn a_wrong_token_claims_no_id_and_learns_of_none() {
    let gateway = Gateway::start(CONFIG).await;
    let body = br#"{"object_kind":"push"}"#;
    let before = gateway.send(&gitlab("another-token", "one", body)).await;
    assert_eq!(gateway.send(&gitlab(TOKEN, "one", body)).await.header("idempotent-replayed"), None, "the id was still free");
    let after = gateway.send(&gitlab("another-token", "one", body)).await;
    let empty = gateway.send(&gitlab("", "one", body)).await;
    for answer in [&before, &after, &empty] {
        assert_eq!((answer.status, problem(answer).as_str(), answer.header("hookgate-event-id")), (401, "not-authentic", None));
    }
    assert_eq!(before.body, after.body);
    let again = gateway.send(&gitlab(TOKEN, "one", body)).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, Some("true")));
    assert_eq!(gateway.rows("event"), 1);
}

#[tokio::test]
async fn a_signing_secret_that_is_named_but_not_there_lets_no_token_in() {
    let both = "secrets = [{ env = \"HOOKGATE_TEST_IS_NOT_SET\" }, { literal = \"canary-token-of-gitlab-0123456789\", slot = \"token\" }]";
    let gateway = Gateway::start(&format!("[sources.gitlab]\nprovider = \"gitlab\"\n{both}\n")).await;
    let answer = gateway.send(&gitlab(TOKEN, "one", b"{}")).await;
    assert_eq!((answer.status, problem(&answer).as_str()), (503, "source-not-ready"));
    let named = format!("[sources.gitlab]\nprovider = \"gitlab\"\nallow = [\"signing\", \"token\"]\n{both}\n");
    let gateway = Gateway::start(&named).await;
    assert_eq!(gateway.send(&gitlab(TOKEN, "one", b"{}")).await.status, 200, "who names both wants both");
}

#[test]
fn a_capture_is_judged_as_the_gateway_would_while_a_signing_secret_is_not_there() {
    let both = "secrets = [{ env = \"HOOKGATE_TEST_IS_NOT_SET\" }, { literal = \"canary-token-of-gitlab-0123456789\", slot = \"token\" }]";
    let cli = Cli::with_config(&format!("[sources.gitlab]\nprovider = \"gitlab\"\n{both}\n"));
    std::fs::write(cli.path("request.http"), gitlab(TOKEN, "one", b"{}")).expect("the directory is there");
    let told = cli.run(&["verify", "request.http", "--source", "gitlab", "--json"]).expect(1).json();
    assert_eq!((&told[0]["reason"], &told[0]["answer"]["status"]), (&"source-not-ready".into(), &503.into()), "{told:?}");
}

#[test]
fn an_unsigned_source_is_warned_of_wherever_it_is_looked_at() {
    let provider = "[[providers.open.check]]\nkind = \"none\"\n[providers.open.event]\nid = [\"{body:/id}\"]\n[sources.open]\nprovider = \"open\"\n";
    Cli::with_config(provider).run(&["check"]).fails(2, &["nothing proves", "allow = [\"default\"]"]);
    let cli = Cli::with_config(&format!("{provider}allow = [\"default\"]\n"));
    let told = cli.run(&["check"]).expect(0);
    assert!(told.stderr.contains("source open is not signed: whoever knows its URL can send it events"), "{}", told.stderr);
    assert!(told.stdout.contains("not signed"), "{}", told.stdout);
    let serving = cli.serve(&[]);
    cli.write("body.json", "{\"id\":\"one\"}");
    let rows = cli.run(&["replay", "body.json", "--to", &serving.url(), "--yes", "--json"]).expect(0).json();
    assert_eq!(rows[0]["event"], "open/one");
    let said = serving.stop().expect(0);
    assert!(said.stderr.contains("source open is not signed"), "{}", said.stderr);
}

#[test]
fn check_and_serve_say_what_a_token_proves_and_which_handshakes_there_are() {
    let cli = Cli::with_config(CONFIG);
    let told = cli.run(&["check"]).expect(0).stdout;
    assert!(told.contains("token in header X-Gitlab-Token, which proves who sends, not what the body says"), "{told}");
    assert!(!told.contains("webhook-signature"), "a check without a secret takes no part: {told}");
    assert!(
        told.contains("GET with `{query:hub.mode}` = `subscribe` and `{query:hub.verify_token}` = the secret `verify`"),
        "{told}"
    );
    assert!(told.contains("POST with `{body:/type}` = `url_verification` is a handshake, answered after the check"), "{told}");
    let serving = cli.serve(&[]);
    let said = serving.stop().expect(0).stdout;
    assert_eq!(said.matches("it proves who sends, not what the body says").count(), 1, "of GitLab alone: {said}");
    assert!(!format!("{told}{said}").contains("canary"), "{told}{said}");
}

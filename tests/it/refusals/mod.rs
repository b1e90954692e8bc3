//! Each row of the table of refusals: the answer, that nothing is stored, and what the delivery log says.

mod body;
mod head;
mod proof;
mod room;
mod store;

use serde_json::Value;

use crate::helpers::gateway::{Gateway, problem};
use crate::helpers::http::Answer;

/// Small limits, so that the tests need no large bodies; a source of every odd kind beside the ordinary ones.
const LIMITED: &str = r#"
[sources.stripe]
provider = "stripe"
secrets = [{ literal = "whsec_canaryStripe0123456789" }]
body_limit = "1KiB"

[sources.github]
provider = "github"
secrets = [{ literal = "canaryGithub0123456789abcdef" }]

[sources.retired]
provider = "github"
secrets = [{ literal = "canaryGithub0123456789abcdef" }]
retired = true

[sources.pending]
provider = "github"
secrets = [{ env = "HOOKGATE_TEST_IS_NOT_SET" }]
"#;

/// A refusal's status and problem, and that nothing became of it.
async fn assert_refused(gateway: &Gateway, answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, problem(answer).as_str()), (status, code));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("hookgate-event-id"), None);
    assert_eq!(answer.header("retry-after").is_some(), status == 503, "to come again is said with every 503 alone: {answer:?}");
    assert!(!answer.text().to_lowercase().contains("canary"), "an echo or a secret: {}", answer.text());
    assert_eq!(gateway.rows("event"), 0, "no refused delivery becomes an event");
    assert_eq!(gateway.rows("task"), 0);
}

/// The reasons of all rejected deliveries, oldest first; they have no id and no text of the request.
async fn rejected(gateway: &Gateway) -> Vec<String> {
    let mut reasons = Vec::new();
    for row in gateway.deliveries().await.iter().rev() {
        assert_eq!(
            (&row["verdict"], &row["event_id"], &row["event_type"]),
            (&"rejected".into(), &Value::Null, &Value::Null),
            "{row}"
        );
        assert!(!row.to_string().to_lowercase().contains("canary"), "{row}");
        reasons.push(row["reason"].as_str().expect("a reason").to_owned());
    }
    reasons
}

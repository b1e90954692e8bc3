//! What came of the request, for people and as JSON.

use serde::Serialize;

use super::subject::Subject;
use crate::cli::print::{self, BOLD, GREEN, RED};
use crate::gateway::Answer;
use crate::model::{EventId, Fingerprint, REPORT_VERSION};
use crate::preset::Derive;
use crate::verify::{Admitted, Reply};
use crate::web;

/// The whole answer.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    v: u8,
    verdict: &'static str,
    reason: Option<&'static str>,
    hint: Option<String>,
    check: Option<String>,
    secret: Option<Fingerprint>,
    event_id: Option<EventId>,
    event_type: Option<String>,
    answer: AnswerReport,
    /// What the reason means, for people.
    #[serde(skip)]
    sentence: Option<String>,
}

/// What the sender would be told.
#[derive(Debug, Serialize)]
struct AnswerReport {
    status: u16,
    headers: serde_json::Map<String, serde_json::Value>,
    body: String,
}

impl AnswerReport {
    fn of(answer: Answer) -> Self {
        let told = web::told(answer);
        Self {
            status: told.status,
            headers: told.headers.into_iter().map(|(name, value)| (name, value.into())).collect(),
            body: String::from_utf8_lossy(&told.body).into_owned(),
        }
    }
}

impl Report {
    /// It passes. The answer is that to a first delivery.
    pub(super) fn accepted(subject: &Subject, admitted: &Admitted) -> Self {
        // Nobody gave this delivery an id that it could be known by.
        let event_id = (subject.settings.preset.derive() != Some(Derive::Delivery)).then(|| admitted.event_id().clone());
        let event = format!("{}/{}", admitted.source(), admitted.event_id());
        Self {
            verdict: "accepted",
            check: Some(admitted.check().to_string()),
            secret: admitted.secret().cloned(),
            event_id,
            event_type: Some(admitted.event_type().to_string()),
            ..Self::bare(Answer::Acked { ack: subject.ack.clone(), event, replayed: false })
        }
    }

    /// It is a handshake.
    pub(super) fn handshake(reply: Reply) -> Self {
        let proven = if reply.verified {
            "answered after its check, and becomes no event"
        } else {
            "answered unproven, and becomes no event"
        };
        Self { verdict: "handshake", sentence: Some(proven.to_owned()), ..Self::bare(Answer::Handshake(reply)) }
    }

    /// It does not.
    pub(super) fn rejected(reason: &'static str, answer: Answer, sentence: Option<String>, hint: Option<String>) -> Self {
        Self { verdict: "rejected", reason: Some(reason), hint, sentence, ..Self::bare(answer) }
    }

    fn bare(answer: Answer) -> Self {
        Self {
            v: REPORT_VERSION,
            verdict: "",
            reason: None,
            hint: None,
            check: None,
            secret: None,
            event_id: None,
            event_type: None,
            answer: AnswerReport::of(answer),
            sentence: None,
        }
    }

    /// In a few lines.
    pub(super) fn tell(&self) {
        match self.reason {
            None => print::line(&print::paint(self.verdict, GREEN.bold())),
            Some(reason) => print::line(&format!("{}  {}", print::paint(self.verdict, RED.bold()), print::paint(reason, BOLD))),
        }
        if let Some(check) = &self.check {
            let secret = self.secret.as_ref().map_or_else(String::new, |secret| format!(", secret {secret}"));
            print::fact("proven by", format!("check {check}{secret}"));
            let id = self.event_id.as_ref().map_or_else(|| "none: each delivery is an event".to_owned(), ToString::to_string);
            print::fact("event", &id);
            print::fact("type", self.event_type.as_deref().unwrap_or_default());
        }
        if let Some(sentence) = &self.sentence {
            print::fact(if self.reason.is_some() { "because" } else { "it is" }, sentence);
        }
        let body = if self.verdict == "handshake" { format!(" {}", self.answer.body.escape_debug()) } else { String::new() };
        print::fact("answer", format!("[{}]{body}", self.answer.status));
        if let Some(hint) = &self.hint {
            print::fact("hint", hint);
        }
    }
}

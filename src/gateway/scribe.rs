//! What is kept and told of each answered delivery: a row of the delivery log, a notice to the operator. Nobody waits for either.

use std::net::IpAddr;
use std::sync::Arc;

use super::notice::{DeliveryNotice, Notice, StrayNotice, Tell};
use super::receive::{Entry, Head};
use super::route::Unwanted;
use super::source::Rate;
use super::{Answer, Problem};
use crate::clock::Clock;
use crate::ledger::{Found, Journal, Note};
use crate::model::{Ack, DeliveryId, Digest, EventId, Reason, Verdict};
use crate::verify::Admitted;

/// See the module.
pub(super) struct Scribe {
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    tell: Tell,
    unwanted: Unwanted,
    strays: Rate,
}

/// Strangers can cause these at will.
const STRAYS_PER_SECOND: u32 = 10;
/// Most characters of a stranger's path that are told.
const STRAY_CHARS_MAX: usize = 64;

/// What is still needed of an admitted delivery once the claim has taken it.
pub(super) struct Seen {
    pub(super) event_id: EventId,
    pub(super) event_type: Arc<str>,
    pub(super) body_digest: Digest,
    pub(super) signed_digest: Digest,
    pub(super) id_signed: bool,
    pub(super) body: bytes::Bytes,
}

impl Seen {
    pub(super) fn of(admitted: &Admitted) -> Self {
        Self {
            event_id: admitted.event_id().clone(),
            event_type: Arc::clone(admitted.event_type()),
            body_digest: admitted.body_digest(),
            signed_digest: admitted.signed_digest(),
            id_signed: admitted.id_signed(),
            body: admitted.body().clone(),
        }
    }

    fn name(&self, entry: &Entry) -> String {
        format!("{}/{}", entry.source.name(), self.event_id)
    }
}

impl Scribe {
    pub(super) fn new(journal: Arc<dyn Journal>, clock: Arc<dyn Clock>, tell: Tell) -> Self {
        Self { journal, clock, tell, unwanted: Unwanted::default(), strays: Rate::new(STRAYS_PER_SECOND) }
    }

    /// The event is ours, and this delivery made it.
    pub(super) fn first(&self, entry: &Entry, seen: &Seen, ack: Ack, reason: Option<Reason>) -> Answer {
        let note = Note {
            event: Some((entry.id, seen.event_id.clone())),
            reason: reason.map(Reason::as_str),
            guard_replay: entry.source.settings.replay_guard && !seen.id_signed,
            ..self.note(entry, Some(seen), Verdict::First, ack.status)
        };
        self.keep(note, Some(seen), None);
        let now = self.clock.monotonic();
        if reason == Some(Reason::NoHandler) && self.unwanted.is_news(entry.source.name(), &seen.event_type, now) {
            tracing::warn!(source.name = %entry.source.name(), event.r#type = %seen.event_type,
                "no handler wants events of this type: they are stored, and `hookgate redrive` hands them on once one does");
        }
        Answer::Acked { ack, event: seen.name(entry), replayed: false }
    }

    /// The event was ours before: the recorded acknowledgement again.
    pub(super) fn repeat(
        &self,
        entry: &Entry,
        seen: &Seen,
        found: Found,
        verdict: Verdict,
        reason: Option<&'static str>,
    ) -> Answer {
        let note = Note {
            event: Some((found.key, seen.event_id.clone())),
            reason,
            body_differs: found.body_digest != seen.body_digest,
            ..self.note(entry, Some(seen), verdict, found.ack.status)
        };
        self.keep(note, Some(seen), None);
        Answer::Acked { ack: found.ack, event: seen.name(entry), replayed: true }
    }

    /// The event was ours before with another body, and its source wants such a repeat refused.
    pub(super) fn conflict(&self, entry: &Entry, seen: &Seen, key: DeliveryId) -> Answer {
        let note = Note {
            event: Some((key, seen.event_id.clone())),
            body_differs: true,
            ..self.note(entry, Some(seen), Verdict::Conflict, Problem::Conflict.status())
        };
        self.keep(note, Some(seen), Some(Problem::Conflict));
        Answer::Problem(Problem::Conflict)
    }

    /// It reached no source that takes it. Not a delivery, so there is no row; but a wrong URL is the commonest mistake.
    pub(super) fn stray(&self, head: Head<'_>, problem: Problem, from: Option<IpAddr>) {
        if self.strays.pass(self.clock.monotonic()) {
            let cut = |text: &str| text.chars().take(STRAY_CHARS_MAX).collect();
            let notice = StrayNotice { at: self.clock.wall(), method: cut(head.method), source: cut(head.source), problem, from };
            (self.tell)(&Notice::Stray(notice));
        }
    }

    /// It was not taken. Strangers can cause these at will, so the log takes few a second; for want of room or store, none.
    pub(super) fn turn_away(&self, entry: &Entry, problem: Problem, reason: &'static str) -> Answer {
        let note = Note { reason: Some(reason), ..self.note(entry, None, Verdict::Rejected, problem.status()) };
        self.tell(&note, None, Some(problem));
        if problem.is_logged() && entry.source.rejected.pass(self.clock.monotonic()) {
            self.journal.note(note);
        }
        Answer::Problem(problem)
    }

    fn note(&self, entry: &Entry, seen: Option<&Seen>, verdict: Verdict, status: u16) -> Note {
        Note {
            delivery_id: entry.id,
            received_at: entry.received_at,
            source: entry.source.name().clone(),
            event: None,
            verdict,
            status,
            reason: None,
            body_differs: false,
            duration: self.clock.monotonic().saturating_sub(entry.started),
            body_digest: seen.map(|seen| seen.body_digest),
            signed_digest: seen.map(|seen| seen.signed_digest),
            guard_replay: false,
        }
    }

    fn keep(&self, note: Note, seen: Option<&Seen>, problem: Option<Problem>) {
        self.tell(&note, seen, problem);
        self.journal.note(note);
    }

    fn tell(&self, note: &Note, seen: Option<&Seen>, problem: Option<Problem>) {
        let judged = problem.is_none_or(|problem| problem.is_logged() || problem == Problem::Conflict);
        let notice = DeliveryNotice {
            at: note.received_at,
            id: note.delivery_id,
            source: note.source.clone(),
            event: seen.map(|seen| (seen.event_id.clone(), Arc::clone(&seen.event_type))),
            verdict: judged.then_some(note.verdict),
            first: note.event.as_ref().map(|(key, _)| *key).filter(|key| *key != note.delivery_id),
            body_differs: note.body_differs,
            status: note.status,
            problem,
            reason: note.reason,
            duration: note.duration,
        };
        (self.tell)(&Notice::Delivery(notice));
    }
}

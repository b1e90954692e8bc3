//! `hookgate verify`: would this captured request pass? Offline and pure: nothing is sent, stored or changed.

mod args;
mod bodies;
mod capture;
mod hint;
mod keys;
mod reformat;
mod report;
mod subject;

use super::exit::{Failure, NO, OK};
use super::{Global, print};
use crate::clock::{Clock, SystemClock};
use crate::fixture::RecordedRequest;
use crate::gateway::{Answer, Problem};
use crate::model::{Delivery, DeliveryId, Timestamp};
use crate::verify::{Admitted, Passed, Refusal, Reply};
pub(super) use args::VerifyArgs;
use hint::Case;
use report::Report;
use subject::Subject;

/// What became of it.
enum Judged {
    /// It passes.
    Accepted(Box<Admitted>),
    /// It is a handshake, which gets its own answer and becomes no event.
    Handshake(Reply),
    /// The check, or reading the id after it, said no.
    Refused(Refusal),
    /// It is turned away before any check.
    TurnedAway(Problem),
}

/// Judges the request and says what came of it.
pub(super) fn run(global: &Global, args: &VerifyArgs) -> Result<u8, Failure> {
    let request = capture::read(&args.request)?;
    let subject = subject::find(global, args, &request)?;
    let now = args.now.map_or_else(|| SystemClock::new().wall(), Timestamp::from_unix_s);
    let verifier = subject.verifier()?;
    let delivery = Delivery {
        id: DeliveryId(uuid::Uuid::nil()),
        method: request.method.as_str().into(),
        query: query(args, &request),
        headers: request.headers.clone(),
        body: request.body.clone(),
        received_at: now,
    };
    let judged = match turned_away(&subject, &request) {
        Some(problem) => Judged::TurnedAway(problem),
        None => match verifier.verify(&delivery, now) {
            Ok(Passed::Event(admitted)) => Judged::Accepted(Box::new(admitted)),
            Ok(Passed::Handshake(reply)) => Judged::Handshake(reply),
            Err(refusal) => Judged::Refused(refusal),
        },
    };
    if matches!(judged, Judged::Refused(Refusal::SourceNotReady)) {
        subject.forgotten_secret()?;
    }
    let case = Case { subject: &subject, verifier: &verifier, delivery: &delivery, now, dated: args.now.is_some() };
    let report = match &judged {
        Judged::Accepted(admitted) => Report::accepted(&subject, admitted),
        Judged::Handshake(reply) => Report::handshake(reply.clone()),
        Judged::Refused(refusal) => {
            let answer = match Problem::of_refusal(refusal, subject.settings.preset.ack().reject) {
                Problem::MethodNotAllowed => Answer::Allow(methods(&subject)),
                problem => Answer::Problem(problem),
            };
            Report::rejected(refusal.code(), answer, Some(refusal.to_string()), case.hint(*refusal))
        }
        Judged::TurnedAway(Problem::MethodNotAllowed) => {
            let methods = methods(&subject);
            let hint = format!("{} sends by {}", subject.settings.preset.title(), methods.join(" or "));
            Report::rejected(Problem::MethodNotAllowed.code(), Answer::Allow(methods), None, Some(hint))
        }
        Judged::TurnedAway(problem) => Report::rejected(
            problem.code(),
            Answer::Problem(*problem),
            Some(problem.title().to_owned()),
            case.hint_of_problem(*problem),
        ),
    };
    if args.json {
        print::json(&report)?;
    } else {
        report.tell();
    }
    Ok(if matches!(judged, Judged::Accepted(_) | Judged::Handshake(_)) { OK } else { NO })
}

/// The query that the provider called with. A proxy may have changed the one that arrived.
fn query(args: &VerifyArgs, request: &RecordedRequest) -> Box<str> {
    let arrived = || request.target.split_once('?').map_or("", |(_, query)| query).into();
    args.url.as_ref().map_or_else(arrived, |public| public.0.clone())
}

/// The methods that the provider sends by.
fn methods(subject: &Subject) -> Vec<String> {
    subject.settings.preset.taken_methods().into_iter().map(str::to_owned).collect()
}

/// What the gateway decides without a look at the signature, in its order.
fn turned_away(subject: &Subject, request: &RecordedRequest) -> Option<Problem> {
    let identity = |coding: &bytes::Bytes| coding.eq_ignore_ascii_case(b"identity");
    if subject.retired {
        Some(Problem::Retired)
    } else if !methods(subject).contains(&request.method) {
        Some(Problem::MethodNotAllowed)
    } else if request.body.len() > subject.body_limit {
        Some(Problem::BodyTooLarge)
    } else if request.headers.all("content-encoding").any(|coding| !identity(coding)) {
        Some(Problem::UnsupportedEncoding)
    } else {
        None
    }
}

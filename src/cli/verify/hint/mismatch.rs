//! A signature that does not fit: what would make it fit.

use super::Case;
use crate::cli::verify::{bodies, keys};
use crate::model::Timestamp;
use crate::preset::KeyRule;

/// The first change that makes it fit at this time, and who has to make it.
pub(super) fn hint(case: &Case<'_>, now: Timestamp) -> String {
    of_body(case, now).or_else(|| of_secret(case, now)).or_else(|| of_other_source(case, now)).unwrap_or_else(|| nothing(case))
}

fn of_body(case: &Case<'_>, now: Timestamp) -> Option<String> {
    let tried = bodies::candidates(&case.delivery.body, &case.delivery.headers);
    let fits = tried.into_iter().find(|tried| case.passes_as(tried.body.clone(), now))?;
    Some(format!("the secret is right, and the signature fits the body {}: {}", fits.how, fits.then))
}

fn of_secret(case: &Case<'_>, now: Timestamp) -> Option<String> {
    for check in case.checks() {
        let of_slot = case.subject.secrets.iter().filter(|named| *named.slot == *check.slot);
        for (named, secret) in of_slot.filter_map(|named| Some((named, named.secret.as_ref()?))) {
            for tried in keys::candidates(&check.key, secret) {
                let settings = &case.subject.settings;
                let secrets = vec![(named.slot.clone(), tried.secret)];
                if case.passes_with(crate::verify::VerifierSettings { secrets, ..settings.clone() }, now) {
                    return Some(format!(
                        "the signature fits the secret of {} {}: {}",
                        named.origin,
                        tried.how,
                        then(case, tried.fault, &check.key)
                    ));
                }
            }
        }
    }
    None
}

fn then(case: &Case<'_>, fault: keys::Fault, rule: &KeyRule) -> String {
    match fault {
        keys::Fault::Secret => "correct it there".to_owned(),
        keys::Fault::Rule => format!(
            "`{}` takes {}, so this sender needs a provider of its own with another `key`",
            case.verifier.preset().name(),
            rule.sentence()
        ),
    }
}

fn of_other_source(case: &Case<'_>, now: Timestamp) -> Option<String> {
    let (name, _) = case.subject.others.iter().find(|(_, verifier)| case.passes(verifier, case.delivery, now))?;
    Some(format!("it passes as source `{name}`: its registration sends to the wrong address, or the secrets are mixed up"))
}

fn nothing(case: &Case<'_>) -> String {
    if case.verifier.takes_credentials() {
        return "another token was sent than the configured one: copy it again from the registration that sends here".to_owned();
    }
    let length = match bodies::said_length(&case.delivery.headers) {
        Some(said) if said != case.delivery.body.len() => {
            format!("; the head speaks of {said} bytes of body and the capture has {}", case.delivery.body.len())
        }
        _ => String::new(),
    };
    format!(
        "no usual change of body or secret makes it fit: likely it is another registration's secret (each endpoint, and live and \
         test mode, have their own), or one that was changed since{length}"
    )
}

//! Every fixture gets what its case says.

use std::collections::BTreeSet;
use std::path::Path;

use hookgate::fixture::{Expectation, Fixture, load};
use hookgate::model::{Delivery, DeliveryId, Timestamp};
use hookgate::preset::builtin_names;
use hookgate::verify::RefusalKind;
use uuid::Uuid;

use super::verifier;

fn fixtures() -> Vec<Fixture> {
    load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")).expect("readable fixtures")
}

/// What comes of it, in the words of its case.
fn outcome(fixture: &Fixture) -> String {
    let now = Timestamp::from_unix_s(fixture.case.now);
    let request = &fixture.request;
    let delivery = Delivery {
        id: DeliveryId(Uuid::nil()),
        method: request.method.as_str().into(),
        headers: request.headers.clone(),
        body: request.body.clone(),
        received_at: now,
    };
    match verifier(&fixture.case.provider, &[&fixture.case.secret]).verify(&delivery, now) {
        Ok(admitted) => format!("accepted {} {}", admitted.event_id(), admitted.event_type()),
        Err(refusal) => {
            let status = match refusal.kind() {
                RefusalKind::NotReady => 503,
                RefusalKind::Unproven => 401,
                RefusalKind::Unreadable => 400,
            };
            format!("rejected {status} {}", refusal.code())
        }
    }
}

fn expected(fixture: &Fixture) -> String {
    let case = &fixture.case;
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    match case.expect {
        Expectation::Accepted => format!("accepted {} {}", text(&case.event_id), text(&case.event_type)),
        Expectation::Rejected => format!("rejected {} {}", case.status.unwrap_or_default(), text(&case.reason)),
    }
}

#[test]
fn every_fixture_gets_what_its_case_says() {
    for fixture in fixtures() {
        assert_eq!(outcome(&fixture), expected(&fixture), "{}", fixture.name);
    }
}

#[test]
fn every_built_in_provider_has_an_accepted_and_a_refused_fixture() {
    let fixtures = fixtures();
    for expect in [Expectation::Accepted, Expectation::Rejected] {
        let with = fixtures.iter().filter(|fixture| fixture.case.expect == expect);
        let have: BTreeSet<&str> = with.map(|fixture| fixture.case.provider.as_str()).collect();
        assert_eq!(have, builtin_names().collect(), "{expect:?}");
    }
}

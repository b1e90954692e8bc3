//! Every fixture gets what its case says.

use std::collections::BTreeSet;
use std::path::Path;

use hookgate::fixture;
use hookgate::fixture::{Expectation, Fixture, load};
use hookgate::model::{Delivery, DeliveryId, Timestamp};
use hookgate::preset::{builtin, builtin_names};
use hookgate::verify::{Passed, RefusalKind, Verifier};
use uuid::Uuid;

use super::settings_by_slot;

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
        query: request.target.split_once('?').map_or("", |(_, query)| query).into(),
        headers: request.headers.clone(),
        body: request.body.clone(),
        received_at: now,
    };
    let preset = builtin(&fixture.case.provider).expect("a built-in preset");
    let slot = fixture.case.slot.as_deref().unwrap_or("signing");
    let settings = settings_by_slot(preset, &[(slot, &fixture.case.secret)]);
    match Verifier::new(settings).expect("right settings").verify(&delivery, now) {
        Ok(Passed::Event(admitted)) => format!("accepted {} {}", admitted.event_id(), admitted.event_type()),
        Ok(Passed::Handshake(reply)) => format!("handshake {} {}", reply.status, String::from_utf8_lossy(&reply.body)),
        Err(refusal) => {
            let status = match refusal.kind() {
                RefusalKind::NotReady => 503,
                RefusalKind::NoHandshake => 405,
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
        Expectation::Handshake => format!("handshake {} {}", case.status.unwrap_or(200), text(&case.answer)),
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
fn the_built_in_fixtures_are_those_of_the_folder_byte_for_byte() {
    let on_disk = fixtures();
    let names: Vec<&str> = on_disk.iter().map(|fixture| fixture.name.as_str()).collect();
    assert_eq!(fixture::builtin_names().collect::<Vec<_>>(), names, "a new one has its line in src/fixture/builtin.rs");
    for one in &on_disk {
        let built_in = fixture::builtin(&one.name).expect("readable");
        assert_eq!(built_in.len(), 1, "{}", one.name);
        assert_eq!((&built_in[0].name, &built_in[0].request), (&one.name, &one.request));
        assert_eq!(format!("{:?}", built_in[0].case), format!("{:?}", one.case));
    }
    let of_stripe = names.iter().filter(|name| name.starts_with("stripe/")).count();
    assert_eq!(fixture::builtin("stripe").expect("readable").len(), of_stripe);
    assert_eq!(fixture::builtin("strip").expect("readable").len(), 0);
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

//! A signed time is fresh within the tolerance on both sides, and written in one way only.

use std::time::Duration;

use hookgate::verify::Verifier;

use super::{NOW_S, judge, samples, settings};
use crate::helpers::sender::{self, fields};

fn stripe_at(time: &str) -> &'static str {
    let [stripe, ..] = samples();
    let signature = sender::stripe_signature(stripe.secret, time, &stripe.body);
    judge(&stripe.verifier(), &fields(&[("Stripe-Signature", &format!("t={time},v1={signature}"))]), &stripe.body)
}

fn standard_at(time: &str) -> &'static str {
    let [_, _, standard] = samples();
    let signature = sender::standard_webhooks_signature(standard.secret, "m", time, &standard.body);
    let signature = format!("v1,{signature}");
    let fields = fields(&[("webhook-id", "m"), ("webhook-timestamp", time), ("webhook-signature", &signature)]);
    judge(&standard.verifier(), &fields, &standard.body)
}

#[test]
fn a_time_is_fresh_up_to_300_seconds_on_both_sides() {
    for judged in [stripe_at, standard_at] {
        for offset in [-300, -299, -1, 0, 1, 299, 300] {
            assert_eq!(judged(&(NOW_S + offset).to_string()), "accepted", "{offset}");
        }
        assert_eq!(judged(&(NOW_S - 301).to_string()), "time-too-old");
        assert_eq!(judged(&(NOW_S + 301).to_string()), "time-too-new");
        assert_eq!(judged("0"), "time-too-old");
        assert_eq!(judged(&(NOW_S * 1000).to_string()), "time-too-new", "milliseconds for seconds");
    }
}

#[test]
fn a_time_that_is_not_plain_digits_is_refused_though_rightly_signed() {
    for judged in [stripe_at, standard_at] {
        for time in [
            "-1767225600",
            "+1767225600",
            "01767225600",
            "1767225600.0",
            "1.767e9",
            "0x69557980",
            "17672256000000000000",
            "NaN",
            "null",
            "99999999999999999999",
            "18446744073709551616",
            "1767225600s",
            "17672 25600",
            "2026-01-01T00:00:00Z",
            "\u{661}",
            "1767225600'",
        ] {
            assert_eq!(judged(time), "time-malformed", "{time}");
        }
    }
    assert_eq!(stripe_at(""), "time-malformed");
}

#[test]
fn the_signed_time_is_the_one_that_is_judged() {
    let [stripe, ..] = samples();
    let old = NOW_S - 4000;
    let signature = sender::stripe_signature(stripe.secret, &old.to_string(), &stripe.body);
    let fresh = fields(&[("Stripe-Signature", &format!("t={NOW_S},v1={signature}"))]);
    assert_eq!(judge(&stripe.verifier(), &fresh, &stripe.body), "signature-mismatch");
    let missing = fields(&[("Stripe-Signature", &format!("v1={signature}"))]);
    assert_eq!(judge(&stripe.verifier(), &missing, &stripe.body), "time-missing");
}

#[test]
fn a_source_may_set_its_own_tolerance_and_zero_means_no_look_at_the_time() {
    let [stripe, ..] = samples();
    let with = |tolerance_s: u64, offset: i64| {
        let mut settings = settings(std::sync::Arc::clone(stripe.verifier().preset()), &[stripe.secret]);
        settings.tolerance = Some(Duration::from_secs(tolerance_s));
        let verifier = Verifier::new(settings).expect("right settings");
        judge(&verifier, &sender::stripe(stripe.secret, NOW_S + offset, &stripe.body), &stripe.body)
    };
    assert_eq!(with(10, -10), "accepted");
    assert_eq!(with(10, -11), "time-too-old");
    assert_eq!(with(10, 11), "time-too-new");
    assert_eq!(with(0, -100_000), "accepted");
    assert_eq!(with(u64::MAX, -NOW_S), "accepted");
}

//! The freshness of a signed time: parsed strictly, judged in whole seconds, the same on both sides of now.

use std::time::Duration;

use super::Refusal;
use crate::model::Timestamp;

/// Most digits of a time. Enough for Unix seconds far beyond any calendar, too few to overflow.
const DIGITS_MAX: usize = 15;

/// Sees that a time in Unix seconds lies within `tolerance` of now, both ends included.
///
/// # Errors
/// [`Refusal::TimeMalformed`] for anything but plain digits, [`Refusal::TimeTooOld`] and [`Refusal::TimeTooNew`] outside.
pub(super) fn judge(text: &[u8], now: Timestamp, tolerance: Duration) -> Result<(), Refusal> {
    let time = parse_unix_s(text).ok_or(Refusal::TimeMalformed)?;
    let tolerance_s = i64::try_from(tolerance.as_secs()).unwrap_or(i64::MAX);
    let age_s = now.unix_s().saturating_sub(time);
    match age_s {
        _ if age_s > tolerance_s => Err(Refusal::TimeTooOld),
        _ if age_s < -tolerance_s => Err(Refusal::TimeTooNew),
        _ => Ok(()),
    }
}

/// Digits only, no leading zero: one spelling for each time.
pub(super) fn parse_unix_s(text: &[u8]) -> Option<i64> {
    let plain = (1..=DIGITS_MAX).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    if !plain || (text.len() > 1 && text[0] == b'0') {
        return None;
    }
    Some(text.iter().fold(0, |time, digit| time * 10 + i64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_999_999);

    fn at(offset: i64) -> Result<(), Refusal> {
        judge((1_700_000_000 + offset).to_string().as_bytes(), NOW, Duration::from_secs(300))
    }

    #[test]
    fn a_time_is_fresh_up_to_the_very_tolerance_on_both_sides() {
        for fresh in [-300, -299, -1, 0, 1, 299, 300] {
            assert_eq!(at(fresh), Ok(()), "{fresh}");
        }
        assert_eq!(at(-301), Err(Refusal::TimeTooOld));
        assert_eq!(at(301), Err(Refusal::TimeTooNew));
    }

    #[test]
    fn a_time_in_milliseconds_is_too_new_for_seconds() {
        assert_eq!(judge(b"1700000000000", NOW, Duration::from_secs(300)), Err(Refusal::TimeTooNew));
        assert_eq!(judge(b"0", NOW, Duration::from_secs(300)), Err(Refusal::TimeTooOld));
        assert_eq!(judge(b"999999999999999", NOW, Duration::MAX), Ok(()));
    }

    #[test]
    fn a_time_is_plain_digits() {
        for bad in [
            "",
            " ",
            "+1700000000",
            "-1700000000",
            "01700000000",
            "00",
            "1700000000.0",
            "1.7e9",
            "0x6553f100",
            "1700000000 ",
            " 1700000000",
            "17000000000000000000",
            "1000000000000000",
            "99999999999999999999",
            "1700000000s",
            "1_700_000_000",
            "２",
            "1700000000\n",
            "2023-11-14T22:13:20",
        ] {
            assert_eq!(judge(bad.as_bytes(), NOW, Duration::MAX), Err(Refusal::TimeMalformed), "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..40)) {
            let _ = judge(&bytes, NOW, Duration::from_secs(300));
        }
    }
}

//! The published list of problem types is the whole of what the listeners say, and says it as it is.

use std::collections::BTreeMap;
use std::path::Path;

use hookgate::gateway::Problem;

fn file(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect("it is there")
}

/// Every source file right in a folder.
fn sources(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).expect("it is there");
    let paths =
        entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.extension().is_some_and(|end| end == "rs"));
    paths.map(|path| std::fs::read_to_string(path).expect("text")).collect()
}

/// The codes of the tables in one part of the list, each with what stands in its second column.
fn published(part: &str) -> BTreeMap<String, String> {
    let list = file("docs/problems.md");
    let begin = list.find(part).expect("the part is there") + part.len();
    let rest = &list[begin..];
    let end = rest.find("\n#").unwrap_or(rest.len());
    let mut all = BTreeMap::new();
    for row in rest[..end].lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        for code in cells[0].trim_start_matches("| ").split(", ") {
            all.insert(code.trim_matches('`').to_owned(), cells[1].to_owned());
        }
    }
    all
}

/// Every problem. Who adds one meets the match below.
const ALL: &[Problem] = &[
    Problem::UnknownSource,
    Problem::Retired,
    Problem::AddressNotAllowed,
    Problem::MethodNotAllowed,
    Problem::Overloaded,
    Problem::RateLimited,
    Problem::HeadersTooLarge,
    Problem::BodyTooLarge,
    Problem::UnsupportedEncoding,
    Problem::BodyTooSlow,
    Problem::BodyBroken,
    Problem::SourceNotReady,
    Problem::NotAuthentic(401),
    Problem::MalformedBody,
    Problem::EventIdMissing,
    Problem::Conflict,
    Problem::StoreBusy,
    Problem::StoreUnavailable,
    Problem::StorageFull,
    Problem::StoreFailed,
];

/// Does not compile when a problem is added: put it into `ALL`, then here.
const fn is_known(problem: Problem) {
    match problem {
        Problem::UnknownSource
        | Problem::Retired
        | Problem::AddressNotAllowed
        | Problem::MethodNotAllowed
        | Problem::Overloaded
        | Problem::RateLimited
        | Problem::HeadersTooLarge
        | Problem::BodyTooLarge
        | Problem::UnsupportedEncoding
        | Problem::BodyTooSlow
        | Problem::BodyBroken
        | Problem::SourceNotReady
        | Problem::NotAuthentic(_)
        | Problem::MalformedBody
        | Problem::EventIdMissing
        | Problem::Conflict
        | Problem::StoreBusy
        | Problem::StoreUnavailable
        | Problem::StorageFull
        | Problem::StoreFailed => {}
    }
}

#[test]
fn every_problem_of_the_public_listener_is_published_with_its_status() {
    let published = published("## Public listener");
    for &problem in ALL {
        is_known(problem);
        let status = published.get(problem.code()).unwrap_or_else(|| panic!("{} is not published", problem.code()));
        assert_eq!(status.split(',').next(), Some(problem.status().to_string().as_str()), "{}", problem.code());
    }
    assert_eq!(published.len(), ALL.len(), "no other is: {published:?}");
}

#[test]
fn our_faults_are_5xx_with_a_time_to_come_again_and_the_senders_are_4xx_without_but_for_too_many() {
    let ours = ["overloaded", "source-not-ready", "store-busy", "store-unavailable", "storage-full", "store-failed"];
    for &problem in ALL {
        let expected = if ours.contains(&problem.code()) { 503 } else { problem.status().clamp(400, 499) };
        assert_eq!(problem.status(), expected, "{}", problem.code());
        let comes_again = ours.contains(&problem.code()) || problem == Problem::RateLimited;
        assert_eq!(problem.retry_after().is_some(), comes_again, "{}", problem.code());
    }
}

/// Each place in the sources of the listeners where a status is followed by a code.
fn said_by_the_listeners() -> BTreeMap<String, String> {
    let mut said = BTreeMap::new();
    for text in ["src/web", "src/web/admin"].into_iter().flat_map(sources) {
        for (at, _) in text.match_indices(", \"") {
            let status = &text[at.saturating_sub(3)..at];
            let code = text[at + 3..].split('"').next().unwrap_or_default();
            if status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit()) {
                said.insert(code.to_owned(), status.to_owned());
            }
        }
    }
    assert!(said.len() > 5, "{said:?}");
    said
}

#[test]
fn every_problem_of_the_admin_listener_is_published_with_its_status() {
    let published = published("## Admin listener");
    for (code, status) in said_by_the_listeners() {
        assert_eq!(published.get(&code), Some(&status), "{code}");
    }
}

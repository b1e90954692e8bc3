//! Configuration: what is wrong is said at its place with what to do, secrets are never taken for less than they are.

use std::collections::BTreeSet;
use std::time::Duration;

use hookgate::config::{self, ConfigError, ConfigErrorKind, Environment, Flags, HandlerKind, Keys, Settings};

use crate::helpers::gateway::{GITHUB, SOURCES, STRIPE, handler};

/// What a text means to who only looks.
fn read(text: &str) -> Result<Settings, ConfigError> {
    with(text, &Environment::default())
}

fn with(text: &str, env: &Environment) -> Result<Settings, ConfigError> {
    config::load_text(text, None, &Flags::default(), env, Keys::Look)
}

fn good(text: &str) -> Settings {
    read(text).unwrap_or_else(|error| panic!("{error} {:?}\n{text}", error.help))
}

/// What is wrong: the part of the text that it points at, the message, the help.
#[track_caller]
fn wrong(text: &str) -> (String, String, String) {
    let error = read(text).map(|_| ()).expect_err(text);
    assert_eq!(error.kind, ConfigErrorKind::Usage);
    let place = error.span.map(|span| text.get(span).expect("within the text").to_owned());
    (place.unwrap_or_default(), error.message, error.help.unwrap_or_default())
}

/// A config with these lines in the source `x`.
fn source(lines: &str) -> String {
    format!("[sources.x]\nprovider = \"stripe\"\n{lines}\n")
}

/// A config with these lines in the handler `h`.
fn handled(lines: &str) -> String {
    format!("{SOURCES}{}", handler("h", "http://127.0.0.1:9000/", lines))
}

#[test]
fn a_misspelt_name_is_pointed_at_and_the_nearest_one_named() {
    let cases = [
        ("lisen = \"127.0.0.1:1\"\n".to_owned(), "lisen", "listen"),
        (source("secrts = []"), "secrts", "secrets"),
        (source("secrets = [{ evn = \"S\" }]"), "evn", "env"),
        (source("on_mismatch = \"rejct\""), "\"rejct\"", "reject"),
        (source("secrets = [{ env = \"S\", slot = \"singing\" }]"), "{ env = \"S\", slot = \"singing\" }", "signing"),
        ("[sources.x]\nprovider = \"githb\"\n".to_owned(), "\"githb\"", "github"),
        (handled("concurency = 1"), "concurency", "concurrency"),
        (handled("sources = [\"strip\"]"), "\"strip\"", "stripe"),
        ("[limits]\nin_fligth = 1\n".to_owned(), "in_fligth", "in_flight"),
        ("[handler.h]\nurl = \"http://x/\"\n".to_owned(), "handler", "handlers"),
    ];
    for (text, place, nearest) in cases {
        let told = wrong(&text);
        assert_eq!(
            (told.0.as_str(), told.2.as_str()),
            (place, format!("did you mean `{nearest}`?").as_str()),
            "{text}\n{}",
            told.1
        );
    }
}

#[test]
fn a_setting_of_a_later_version_is_refused_by_its_name() {
    for line in ["mode = \"relay\"", "accept_encoding = [\"gzip\"]", "quarantine = true", "learn = { file = \"x\" }"] {
        let (place, message, help) = wrong(&source(line));
        let name = line.split(' ').next().unwrap();
        assert_eq!(place, name);
        assert!(message.contains(name) && help.contains("not in this version"), "{message} {help}");
    }
}

#[test]
fn values_out_of_their_range_are_refused_at_their_place() {
    let cases = [
        (format!("{SOURCES}[limits]\nin_flight = 0\n"), "0"),
        (format!("{SOURCES}[limits]\nin_flight = 9223372036854775807\n"), "9223372036854775807"),
        (format!("{SOURCES}[limits]\nconnections = 1000001\n"), "1000001"),
        (format!("{SOURCES}[limits]\nheader_deadline = \"61m\"\n"), "\"61m\""),
        (format!("{SOURCES}[limits]\nbody_deadline = \"500000000000y\"\n"), "\"500000000000y\""),
        (format!("drain = \"2d\"\n{SOURCES}"), "\"2d\""),
        (format!("{SOURCES}[store]\nbusy_timeout = \"2h\"\n"), "\"2h\""),
        (source("tolerance = \"2y\""), "\"2y\""),
        (source("body_limit = \"0B\""), "\"0B\""),
        (format!("{}[limits]\nbodies_in_hand = \"4GiB\"\n", source("body_limit = \"513MiB\"")), "\"513MiB\""),
        (handled("retry = [\"5s\", \"31d\"]"), "\"31d\""),
        (handled("retry = [\"500000000000y\"]"), "\"500000000000y\""),
        (source("ack = { status = 500 }"), "{ status = 500 }"),
        (source("ack = { status = 302 }"), "{ status = 302 }"),
        (source("on_mismatch = \"reject\""), "\"reject\""),
        (handled("concurrency = 0"), "0"),
        (handled("concurrency = 1025"), "1025"),
        (handled("timeout = \"0s\""), "\"0s\""),
        (handled("timeout = \"2h\""), "\"2h\""),
        (handled("final_statuses = [200]"), "200"),
        (handled("headers = { Hookgate-X = \"1\" }"), "Hookgate-X"),
        (handled("headers = { Idempotency-Key = \"1\" }"), "Idempotency-Key"),
        (handled("headers = { \"not a name\" = \"1\" }"), "\"not a name\""),
        (handled("forward_headers = [\"Authorization\"]"), "\"Authorization\""),
        (handled("forward_headers = [\"cookie\"]"), "\"cookie\""),
        (handled("forward_headers = [\"Transfer-Encoding\"]"), "\"Transfer-Encoding\""),
        (handled("forward_headers = [\"content-length\"]"), "\"content-length\""),
        (handled("headers = { Host = \"x\" }"), "Host"),
        (handled("headers = { TE = \"trailers\" }"), "TE"),
        (format!("{SOURCES}{}", handler("h", "ftp://127.0.0.1/", "")), "\"ftp://127.0.0.1/\""),
        (format!("{SOURCES}{}", handler("h", "http://user:pass@127.0.0.1/", "")), "\"http://user:pass@127.0.0.1/\""),
        (format!("{SOURCES}{}", handler("Not-A-Name", "http://127.0.0.1/", "")), "Not-A-Name"),
        ("[sources.\"a/b\"]\nprovider = \"stripe\"\n".to_owned(), "\"a/b\""),
        ("[sources.\"..\"]\nprovider = \"stripe\"\n".to_owned(), "\"..\""),
        ("[sources.A]\nprovider = \"stripe\"\n".to_owned(), "A"),
        (format!("database = \"postgres://x/y\"\n{SOURCES}"), "\"postgres://x/y\""),
    ];
    for (text, place) in cases {
        let told = wrong(&text);
        assert_eq!(told.0, place, "{text}\n{}", told.1);
    }
}

#[test]
fn there_are_at_most_100_delays() {
    let retry = |delays: usize| format!("[{}]", vec!["\"30d\""; delays].join(", "));
    let settings = good(&handled(&format!("retry = {}", retry(100))));
    assert_eq!(settings.handlers[0].retry, vec![Duration::from_secs(30 * 86_400); 100]);
    assert_eq!(wrong(&handled(&format!("retry = {}", retry(101)))).0, retry(101));
}

#[test]
fn a_body_that_could_never_be_taken_is_an_error_that_names_both_settings() {
    let both = |body: &str, all: &str| format!("[limits]\nbodies_in_hand = \"{all}\"\n{}", source(body));
    good(&both("body_limit = \"32KiB\"", "64KiB"));
    good(&both("body_limit = \"512MiB\"", "1GiB"));
    for (body, all, place) in
        [("body_limit = \"33KiB\"", "64KiB", "\"33KiB\""), ("", "1MiB", "x"), ("body_limit = \"200MiB\"", "256MiB", "\"200MiB\"")]
    {
        let told = wrong(&both(body, all));
        assert_eq!(told.0, place, "{}", told.1);
        assert!(told.1.contains("`body_limit` of source `x`") && told.1.contains("`bodies_in_hand`"), "{}", told.1);
        assert!(!told.2.is_empty());
    }
}

#[test]
fn a_name_of_a_source_has_at_most_64_characters() {
    let named = |name: &str| format!("[sources.{name}]\nprovider = \"stripe\"\n");
    good(&named(&"a".repeat(64)));
    wrong(&named(&"a".repeat(65)));
}

#[test]
fn the_name_of_forward_to_is_not_taken_twice() {
    let text = format!("{SOURCES}{}", handler("forward-to", "http://127.0.0.1:9000/", ""));
    good(&text);
    let flags = Flags { forward_to: Some("http://127.0.0.1:9001/".to_owned()), ..Flags::default() };
    let error =
        config::load_text(&text, None, &flags, &Environment::default(), Keys::Look).map(drop).expect_err("two of one name");
    assert_eq!(error.span.map(|span| &text[span]), Some("forward-to"));
    assert!(error.message.contains("--forward-to") && error.help.is_some(), "{}", error.message);
}

#[test]
fn forward_to_takes_an_address_without_a_scheme_and_no_bare_word() {
    let load = |target: &str| {
        let flags = Flags { forward_to: Some(target.to_owned()), ..Flags::default() };
        config::load_text(SOURCES, None, &flags, &Environment::default(), Keys::Look)
    };
    for (target, url) in [
        ("localhost", "http://localhost/"),
        ("localhost:4242/hook", "http://localhost:4242/hook"),
        ("nope:9000", "http://nope:9000/"),
        ("nope/", "http://nope/"),
        ("http://nope", "http://nope/"),
        ("127.0.0.1", "http://127.0.0.1/"),
        ("[::1]:9000", "http://[::1]:9000/"),
    ] {
        let settings = load(target).unwrap_or_else(|error| panic!("{target}: {error}"));
        let kind = &settings.handlers.last().expect("the one").kind;
        assert!(matches!(kind, HandlerKind::Http(http) if http.url.as_str() == url), "{target}: {kind:?}");
    }
    for bare in ["nope", "", "stripe", "9000"] {
        let error = load(bare).map(drop).expect_err(bare);
        let told = error.all().map(|error| (error.message.clone(), error.help.clone())).next().expect("one");
        assert!(told.0.contains("--forward-to") && told.1.is_some_and(|help| help.contains("localhost:9000")), "{}", told.0);
    }
}

#[test]
fn a_config_without_a_source_is_refused() {
    assert!(wrong("").1.contains("no source"));
}

#[test]
fn what_spoils_the_rest_is_told_with_what_was_found_before_it() {
    let spoilt = [("[providers.stripe]\n", "is a built-in provider"), ("[limits]\nin_flight = 0\n", "in_flight")];
    for (spoils, words) in spoilt {
        let error = read(&format!("{spoils}{}", handled("concurrency = 0"))).map(|_| ()).expect_err(words);
        let told: Vec<&str> = error.all().map(|error| error.message.as_str()).collect();
        assert!(told.len() >= 2 && told[0].contains(words) && told.iter().any(|told| told.contains("concurrency")), "{told:?}");
    }
}

#[test]
fn an_empty_or_undecodable_secret_is_an_error_in_every_place() {
    for empty in ["", " ", "\\n", "\\t \\n"] {
        let (place, message, _) = wrong(&source(&format!("secrets = [{{ literal = \"{empty}\" }}]")));
        assert!(place.starts_with("{ literal"), "{place}");
        assert!(message.contains("is empty"), "{message}");
        let text = source("secrets = [{ env = \"S\" }]");
        let value = empty.replace("\\n", "\n").replace("\\t", "\t");
        assert!(with(&text, &Environment::of([("S", value.as_str())])).is_err(), "{empty:?}");
        wrong(&handled(&format!("sign_with = {{ literal = \"{empty}\" }}")));
        wrong(&handled(&format!("headers = {{ X = {{ literal = \"{empty}\" }} }}")));
        wrong(&format!("[admin]\ntoken = {{ literal = \"{empty}\" }}\n{SOURCES}"));
        let token = Environment::of([("HOOKGATE_ADMIN_TOKEN", value.as_str())]);
        assert!(with(SOURCES, &token).is_err(), "{empty:?}");
    }
    let standard =
        |secret: &str| format!("[sources.x]\nprovider = \"standard-webhooks\"\nsecrets = [{{ literal = \"{secret}\" }}]\n");
    good(&standard("whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ="));
    for undecodable in ["whsec_", "whsec_!!!!", "whsec_c2Vjc", "not base64 at all"] {
        let (_, message, help) = wrong(&standard(undecodable));
        assert!(!message.contains(undecodable) && !help.contains(undecodable), "a secret is shown: {message}");
    }
}

#[test]
fn a_secret_is_exactly_one_of_its_kinds() {
    for secret in ["{}", "{ slot = \"signing\" }", "{ env = \"A\", file = \"b\" }", "{ env = \"A\", literal = \"b\" }"] {
        let (place, message, _) = wrong(&source(&format!("secrets = [{secret}]")));
        assert_eq!(place, secret);
        assert!(message.contains("exactly one"), "{message}");
    }
}

#[test]
fn a_secret_that_is_not_there_leaves_its_source_pending_with_a_warning() {
    let directory = tempfile::tempdir().expect("a directory");
    let missing = directory.path().join("missing").display().to_string();
    for secrets in [
        "secrets = []".to_owned(),
        "secrets = [{ env = \"NOT_SET\" }]".to_owned(),
        format!("secrets = [{{ file = \"{missing}\" }}]"),
    ] {
        let settings = good(&source(&secrets));
        assert!(settings.sources[0].verifier.is_pending(), "{secrets}");
        assert!(settings.warnings.iter().any(|warning| warning.contains("pending")), "{:?}", settings.warnings);
    }
    let rotating = good(&source(&format!("secrets = [{{ env = \"NOT_SET\" }}, {{ literal = \"{STRIPE}\" }}]")));
    assert!(!rotating.sources[0].verifier.is_pending(), "one of two is enough");
    assert!(rotating.warnings.iter().any(|warning| warning.contains("env NOT_SET")), "{:?}", rotating.warnings);
}

#[test]
fn a_secret_under_16_bytes_is_warned_of_and_strict_secrets_makes_it_an_error() {
    for (secret, short) in [("123456789012345", true), ("1234567890123456", false)] {
        let text = source(&format!("secrets = [{{ literal = \"{secret}\" }}]"));
        let warned = good(&text).warnings.iter().any(|warning| warning.contains("16 bytes"));
        assert_eq!(warned, short, "{secret}");
        assert_eq!(read(&format!("strict_secrets = true\n{text}")).is_err(), short, "{secret}");
    }
    let absent = source("secrets = [{ env = \"NOT_SET\" }]");
    assert!(read(&format!("strict_secrets = true\n{absent}")).is_err());
}

#[test]
fn a_file_of_a_secret_loses_one_newline_and_no_more() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("secret");
    for (content, meant) in [
        ("0123456789abcdef\n", "0123456789abcdef"),
        ("0123456789abcdef\n\n", "0123456789abcdef\n"),
        (" 0123456789abcde", " 0123456789abcde"),
    ] {
        std::fs::write(&path, content).expect("a file");
        let settings = good(&source(&format!("secrets = [{{ file = \"{}\" }}]", path.display())));
        assert_eq!(
            settings.sources[0].secrets[0].secret.as_ref().map(|secret| secret.reveal().to_vec()),
            Some(meant.as_bytes().to_vec())
        );
    }
}

#[test]
fn a_key_is_made_once_however_the_database_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    std::fs::create_dir(path("disk")).expect("a directory");
    std::os::unix::fs::symlink("disk/real.db", path("link.db")).expect("a link");
    std::os::unix::fs::symlink("link.db", path("other.db")).expect("a link");
    let key = |database: &str| {
        let flags = Flags { database: Some(path(database).display().to_string()), ..Flags::default() };
        let settings = config::load_text(&handled(""), None, &flags, &Environment::default(), Keys::Make).expect("good");
        let HandlerKind::Http(http) = &settings.handlers[0].kind else { panic!("it has a URL") };
        http.sign_with.as_ref().map(|key| key.reveal().to_vec()).expect("a key")
    };
    let before = key("link.db");
    std::fs::write(path("disk/real.db"), "").expect("the first start makes it");
    for database in ["link.db", "other.db", "disk/real.db", "disk/../disk/real.db"] {
        assert!(key(database) == before, "{database}");
    }
    assert!(path("disk/real.db.signing-key").exists() && !path("link.db.signing-key").exists());
}

#[test]
fn a_literal_secret_is_taken_on_loopback_alone() {
    for listen in ["listen = \"0.0.0.0:8080\"\n", "listen = \"[::]:8080\"\n", "listen = \"10.0.0.1:8080\"\n"] {
        let (place, message, _) = wrong(&format!("{listen}{}", source("secrets = [{ literal = \"0123456789abcdef\" }]")));
        assert_eq!(place, "{ literal = \"0123456789abcdef\" }");
        assert!(message.contains("loopback"), "{message}");
        good(&format!("{listen}{}", source("secrets = [{ env = \"S\" }]")));
    }
}

#[test]
fn the_admin_listener_off_loopback_needs_a_token() {
    let off = format!("[admin]\nlisten = \"0.0.0.0:8081\"\ntoken = {{ env = \"T\" }}\n{}", source("secrets = [{ env = \"S\" }]"));
    assert!(wrong(&off).1.contains("no token"));
    let settings = with(&off, &Environment::of([("T", "a-token")])).expect("good");
    assert!(settings.admin_token.is_some());
    assert!(with(&off, &Environment::of([("T", " ")])).is_err(), "an empty one is none");
}

#[test]
fn a_token_that_is_named_must_be_there() {
    let directory = tempfile::tempdir().expect("a directory");
    let missing = directory.path().join("missing").display().to_string();
    for (token, origin) in [("env = \"NOT_SET\"".to_owned(), "env NOT_SET"), (format!("file = \"{missing}\""), "file ")] {
        let token = format!("{{ {token} }}");
        let text = format!("[admin]\ntoken = {token}\n{SOURCES}");
        let (place, message, help) = wrong(&text);
        assert_eq!(place, token);
        assert!(message.contains(origin) && help.contains("HOOKGATE_ADMIN_TOKEN"), "{message} {help}");
        let given = Environment::of([("HOOKGATE_ADMIN_TOKEN", "a-token")]);
        assert!(with(&text, &given).expect("it goes first").admin_token.is_some());
        let load = |env: &Environment, keys| config::load_text(&text, None, &Flags::default(), env, keys);
        assert!(load(&Environment::default(), Keys::Make).is_err());
        let asks = load(&Environment::default(), Keys::Leave).expect("who only asks may go on");
        assert!(asks.admin_token.is_none());
    }
}

#[test]
fn a_flag_goes_before_the_environment_which_goes_before_the_file_which_goes_before_the_default() {
    let file = format!("listen = \"127.0.0.1:3\"\ndatabase = \"file.db\"\n[admin]\nlisten = \"127.0.0.1:4\"\n{SOURCES}");
    let env = Environment::of([
        ("HOOKGATE_LISTEN", "127.0.0.1:5"),
        ("HOOKGATE_ADMIN_LISTEN", "127.0.0.1:6"),
        ("HOOKGATE_DATABASE", "env.db"),
    ]);
    let flags = Flags {
        listen: Some(([127, 0, 0, 1], 7).into()),
        admin_listen: Some(([127, 0, 0, 1], 8).into()),
        database: Some("flag.db".to_owned()),
        ..Flags::default()
    };
    let none = (Flags::default(), Environment::default());
    let cases = [
        (SOURCES, &none.0, &none.1, (8080, 8081, "hookgate.db")),
        (file.as_str(), &none.0, &none.1, (3, 4, "file.db")),
        (&file, &none.0, &env, (5, 6, "env.db")),
        (&file, &flags, &env, (7, 8, "flag.db")),
    ];
    for (text, flags, env, expected) in cases {
        let settings = config::load_text(text, None, flags, env, Keys::Look).expect("good");
        let told = (settings.listen.port(), settings.admin_listen.port(), settings.database.to_str().unwrap());
        assert_eq!(told, expected);
    }
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let settings = good(&handled(""));
    assert!(settings.listen.ip().is_loopback() && settings.admin_listen.ip().is_loopback());
    assert_eq!(
        (settings.drain, settings.busy_timeout, settings.min_free),
        (Duration::from_secs(10), Duration::from_secs(2), 64 << 20)
    );
    let limits = settings.limits;
    assert_eq!((limits.in_flight, limits.connections, limits.bodies_in_hand), (1024, 25_000, 256 << 20));
    assert_eq!(
        (limits.header_limit, limits.header_deadline, limits.body_deadline),
        (32 << 10, Duration::from_secs(5), Duration::from_secs(10))
    );
    let by_name = |name: &str| settings.sources.iter().find(|source| source.name.as_str() == name).expect("it is there");
    assert_eq!((by_name("stripe").body_limit, by_name("github").body_limit), (1 << 20, 25 << 20));
    assert!(
        settings
            .sources
            .iter()
            .all(|source| source.replay_guard && !source.reject_mismatch && !source.retired && source.ack.0 == 200)
    );
    let handler = &settings.handlers[0];
    assert_eq!((handler.timeout, handler.concurrency, handler.retry.len()), (Duration::from_secs(30), 8, 14));
    let HandlerKind::Http(http) = &handler.kind else { panic!("it has a URL") };
    assert!(!http.resign && http.forward_headers.is_none() && http.headers.is_empty());
    assert!(handler.sources.is_none() && handler.events.is_empty() && handler.final_statuses.is_empty());
}

#[test]
fn an_answer_is_due_a_second_before_the_senders_deadline_and_within_8_seconds() {
    let of = |lines: &str| {
        let settings = good(&format!("{}[sources.x]\nprovider = \"github\"\n{lines}\n", SOURCES));
        settings.sources.iter().find(|source| source.name.as_str() == "x").expect("it is there").answer_deadline
    };
    assert_eq!(of(""), Duration::from_secs(8), "GitHub waits for 10 s");
    assert_eq!(of("answer_deadline = \"3s\""), Duration::from_secs(3));
    assert_eq!(of("answer_deadline = \"1m\""), Duration::from_secs(8));
}

#[test]
fn resign_is_refused_for_a_scheme_that_cannot_be_signed_anew() {
    let own = "[[providers.own.check]]\nkind = \"hmac\"\nalgorithm = \"sha256\"\nsignature = { from = \"header:X-Sig\", encoding = \"hex\" }\n\
               time = { from = \"body:/time\", unit = \"s\", tolerance = 300 }\nmessage = \"{body}\"\n[providers.own.event]\nid = [\"{body:/id}\"]\n\
               [sources.own]\nprovider = \"own\"\nsecrets = [{ literal = \"0123456789abcdef\" }]\n";
    good(&format!("{own}{SOURCES}{}", handler("h", "http://127.0.0.1/", "resign = true\nsources = [\"stripe\", \"github\"]")));
    let (place, message, help) = wrong(&format!("{own}{}", handler("h", "http://127.0.0.1/", "resign = true")));
    assert_eq!(place, "h");
    assert!(message.contains("own") && !help.is_empty(), "{message}");
}

#[test]
fn a_provider_of_ones_own_may_not_take_a_built_in_name() {
    let text = format!(
        "{SOURCES}[[providers.stripe.check]]\nkind = \"hmac\"\nalgorithm = \"sha256\"\nsignature = {{ from = \"header:X\", encoding = \"hex\" }}\n[providers.stripe.event]\nid = [\"{{body:/id}}\"]\n"
    );
    let (place, message, _) = wrong(&text);
    assert_eq!(place, "stripe");
    assert!(message.contains("built-in"), "{message}");
}

#[test]
fn what_settings_are_is_shown_without_their_secrets() {
    let settings = good(&handled(
        "headers = { Authorization = { literal = \"canary-header\" } }\nsign_with = { literal = \"canary-key-0123456789\" }",
    ));
    let shown = format!("{settings:?}");
    assert!(shown.contains("stripe"), "it shows something");
    for secret in [STRIPE, GITHUB, "canary-header", "canary-key"] {
        assert!(!shown.contains(secret), "{secret}");
    }
    let fingerprints: BTreeSet<_> = settings
        .sources
        .iter()
        .flat_map(|source| source.verifier.fingerprints().iter().map(|(_, print, _)| print.to_string()))
        .collect();
    assert_eq!(fingerprints.len(), 2);
    assert!(fingerprints.iter().all(|print| print.len() == 8));
}

#[test]
fn nothing_may_be_forgotten_while_its_provider_can_send_it_again() {
    let retention = |lines: &str| format!("[retention]\n{lines}\n");
    let own = |ack: &str| {
        format!(
            "[sources.own]\nprovider = \"own\"\n[[providers.own.check]]\nkind = \"hmac\"\nalgorithm = \"sha256\"\n\
             signature = {{ from = \"header:X-Sig\", encoding = \"hex\" }}\n[providers.own.event]\nid = [\"{{body:/id}}\"]\n\
             [providers.own.ack]\n{ack}\n"
        )
    };
    let github = "[sources.hub]\nprovider = \"github\"\n";
    let short = |text: &str, days: &str| format!("{text}{}", retention(&format!("dedupe_retention = \"{days}\"")));
    let cases = [
        (short(SOURCES, "29d"), "\"29d\"", ["source `stripe`", "Stripe", "30d"], "30d"),
        (short(&source(""), "7d"), "\"7d\"", ["source `x`", "Stripe", "30d"], "30d"),
        (short(github, "6d"), "\"6d\"", ["source `hub`", "GitHub", "7d"], "7d"),
        (short(&own("retries_for = 86400"), "29d"), "\"29d\"", ["source `own`", "does not say", "30d"], "30d"),
        (short(&own("resend_for = 86400"), "29d"), "\"29d\"", ["source `own`", "does not say", "30d"], "30d"),
        (short(&own("retries_for = 0\nresend_for = 86400"), "23h"), "\"23h\"", ["source `own`", "own", "1d"], "1d"),
        (own("retries_for = 5184000\nresend_for = 0"), "own", ["source `own`", "retries for", "60d"], "60d"),
    ];
    for (text, place, says, at_least) in cases {
        let (at, message, help) = wrong(&text);
        assert_eq!(at, place, "{message}");
        assert!(message.contains("dedupe_retention") && says.iter().all(|word| message.contains(word)), "{message}");
        assert!(help.contains(&format!("\"{at_least}\"")) && help.contains("allow_short_retention = true"), "{help}");
        let table = if text.contains("[retention]") { "" } else { "[retention]\n" };
        let allowed = good(&format!("{text}{table}allow_short_retention = true\nbody_retention = \"0s\"\n"));
        assert!(allowed.warnings.iter().any(|warning| says.iter().all(|word| warning.contains(word))), "{:?}", allowed.warnings);
    }
    for enough in [
        SOURCES.to_owned(),
        short(SOURCES, "30d"),
        short(github, "7d"),
        short(&own("retries_for = 0\nresend_for = 0"), "7d"),
        short("[sources.x]\nprovider = \"stripe\"\nretired = true\n", "7d"),
    ] {
        assert!(good(&enough).warnings.iter().all(|warning| !warning.contains("retention")), "{enough}");
    }
}

#[test]
fn retention_has_its_defaults_and_no_body_outlives_its_event() {
    let days = |days: u64| Duration::from_secs(days * 86_400);
    let plain = good(SOURCES).retention;
    assert_eq!((plain.body, plain.dedupe, plain.log, plain.log_bytes), (days(7), days(35), days(7), 1 << 30));
    let all = "[retention]\nbody_retention = \"0s\"\ndedupe_retention = \"90d\"\nlog_retention = \"1d\"\nlog_bytes = \"2MiB\"\n";
    let set = good(&format!("{SOURCES}{all}")).retention;
    assert_eq!((set.body, set.dedupe, set.log, set.log_bytes), (Duration::ZERO, days(90), days(1), 2 << 20));
    let (place, message, _) = wrong(&format!("{SOURCES}[retention]\nbody_retention = \"36d\"\n"));
    assert_eq!(place, "\"36d\"");
    assert!(message.contains("36d") && message.contains("dedupe_retention") && message.contains("35d"), "{message}");
    let (place, message, help) = wrong(&format!("{SOURCES}[retention]\nquarantine_retention = \"7d\"\n"));
    assert_eq!(place, "quarantine_retention");
    assert!(message.contains("quarantine_retention") && help.contains("not in this version"), "{message} {help}");
    let (place, ..) = wrong(&format!("{SOURCES}[retention]\nlog_retention = \"500000000000y\"\n"));
    assert_eq!(place, "\"500000000000y\"");
}

//! Where secrets come from: what may be in the place of a file, what is told of each, and what a source without one does.

use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};

use hookgate::config::{self, ConfigError, Environment, Flags, Keys, Settings};
use hookgate::model::Secret;
use hookgate::verify::fingerprint;
use rustix::fs::{CWD, Mode, mkfifoat};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::helpers::cli::Cli;
use crate::helpers::gateway::{GITHUB, Gateway, SOURCES, STRIPE, handler, runtime, stripe_body};
use crate::helpers::http;
use crate::helpers::sender;
use crate::helpers::target::Target;

/// A secret of this text.
fn print_of(text: &str) -> String {
    fingerprint(&Secret::new(text.as_bytes().to_vec()).expect("not empty")).to_string()
}

fn read_as(text: &str, env: &Environment, keys: Keys) -> Result<Settings, ConfigError> {
    config::load_text(text, None, &Flags::default(), env, keys)
}

fn read(text: &str) -> Result<Settings, ConfigError> {
    read_as(text, &Environment::default(), Keys::Look)
}

/// A source of GitHub's with this list of secrets.
fn source(secrets: &str) -> String {
    format!("[sources.x]\nprovider = \"github\"\nsecrets = [{secrets}]\n")
}

/// A directory with files that only their owner may read.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    /// A secret's text that names a file of this name.
    fn named(&self, name: &str) -> String {
        format!("{{ file = \"{}\" }}", self.0.path().join(name).display())
    }

    fn write(&self, name: &str, content: &[u8], mode: u32) -> String {
        let path = self.0.path().join(name);
        fs::write(&path, content).expect("a file");
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("our own file");
        self.named(name)
    }
}

fn bytes(settings: &Settings) -> Vec<u8> {
    settings.sources[0].secrets[0].secret.as_ref().expect("it is there").reveal().to_vec()
}

#[test]
fn what_is_no_file_is_told_at_once_and_at_its_place() {
    let files = Files::new();
    mkfifoat(CWD, files.0.path().join("fifo"), Mode::RUSR | Mode::WUSR).expect("a pipe");
    fs::create_dir(files.0.path().join("directory")).expect("a directory");
    let large = files.write("large", &vec![b'x'; (64 << 10) + 1], 0o600);
    let through_a_file = files.named("large/below");
    let cases = [
        (files.named("fifo"), "it is a pipe"),
        (files.named("directory"), "it is a directory"),
        ("{ file = \"/dev/zero\" }".to_owned(), "it is a device"),
        (large, "over 64 KiB"),
        (through_a_file, "cannot read"),
    ];
    for (secret, told) in cases {
        for text in [
            source(&secret),
            format!("{SOURCES}{}", handler("h", "http://127.0.0.1:9/", &format!("sign_with = {secret}"))),
            format!("{SOURCES}{}", handler("h", "http://127.0.0.1:9/", &format!("headers = {{ X = {secret} }}"))),
            format!("[admin]\ntoken = {secret}\n{SOURCES}"),
        ] {
            let error = read(&text).map(drop).expect_err(&secret);
            assert!(error.message.contains(told) && error.message.contains("cannot read"), "{}", error.message);
            assert_eq!(error.span.map(|span| text[span].to_owned()), Some(secret.clone()));
        }
    }
}

#[test]
fn a_file_of_64_kib_is_a_secret_and_any_bytes_are() {
    let files = Files::new();
    let secret = files.write("large", &vec![0xff; 64 << 10], 0o600);
    assert_eq!(bytes(&read(&source(&secret)).expect("good")), vec![0xff; 64 << 10]);
}

#[test]
fn a_variable_may_hold_any_bytes() {
    let secret = b"\xff\xfe not UTF-8 at all, 0123456789";
    let cli = Cli::with_config(&source("{ env = \"S\" }"));
    let mut check = Command::new(env!("CARGO_BIN_EXE_hookgate"));
    check.args(["check", "--json"]).current_dir(cli.directory.path()).env_clear().stdin(Stdio::null());
    let output = check.env("S", std::ffi::OsStr::from_bytes(secret)).output().expect("it runs");
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let known = fingerprint(&Secret::new(secret.to_vec()).expect("not empty")).to_string();
    assert_eq!(told["secrets"], json!([{ "slot": "signing", "origin": "env S", "fingerprint": known, "short": false }]));
}

#[test]
fn a_file_that_every_user_can_read_is_warned_of() {
    let files = Files::new();
    for (mode, open) in [(0o600, false), (0o640, false), (0o644, true), (0o604, true), (0o444, true)] {
        let secret = files.write("secret", b"0123456789abcdef", mode);
        let settings = read(&source(&secret)).expect("good");
        let warned = settings.warnings.iter().any(|warning| warning.contains(&format!("(mode {mode:04o})")));
        assert_eq!(warned, open, "{mode:o} {:?}", settings.warnings);
    }
    let secret = files.write("secret", b"0123456789abcdef", 0o644);
    for text in [
        format!("{SOURCES}{}", handler("h", "http://127.0.0.1:9/", &format!("sign_with = {secret}"))),
        format!("{SOURCES}{}", handler("h", "http://127.0.0.1:9/", &format!("headers = {{ X = {secret} }}"))),
        format!("[admin]\ntoken = {secret}\n{SOURCES}"),
    ] {
        let settings = read(&text).expect("good");
        assert_eq!(settings.warnings.iter().filter(|warning| warning.contains("(mode 0644)")).count(), 1, "{text}");
    }
}

#[test]
fn one_newline_is_no_part_of_a_file_and_other_white_space_at_an_end_is_warned_of() {
    let files = Files::new();
    for (content, meant, doubtful) in [
        (&b"0123456789abcdef\n"[..], &b"0123456789abcdef"[..], false),
        (b"0123456789abcdef", b"0123456789abcdef", false),
        (b"0123456789 abcdef\n", b"0123456789 abcdef", false),
        (b"0123456789abcdef\r\n", b"0123456789abcdef\r", true),
        (b"0123456789abcdef\n\n", b"0123456789abcdef\n", true),
        (b"0123456789abcdef ", b"0123456789abcdef ", true),
        (b"\t0123456789abcdef", b"\t0123456789abcdef", true),
    ] {
        let settings = read(&source(&files.write("secret", content, 0o600))).expect("good");
        assert_eq!(bytes(&settings), meant);
        let warned = settings.warnings.iter().any(|warning| warning.contains("white space"));
        assert_eq!(warned, doubtful, "{content:?} {:?}", settings.warnings);
    }
    let env = Environment::of([("S", "0123456789abcdef\r")]);
    let settings = read_as(&source("{ env = \"S\" }"), &env, Keys::Look).expect("good");
    assert!(settings.warnings.iter().any(|warning| warning.contains("env S") && warning.contains("white space")));
}

#[test]
fn a_mounted_secret_that_is_replaced_as_a_whole_is_found_anew() {
    let mount = Files::new();
    let path = |name: &str| mount.0.path().join(name);
    let version = |name: &str, secret: &str| {
        fs::create_dir(path(name)).expect("a directory");
        fs::write(path(name).join("github"), secret).expect("a file");
        symlink(name, path("..data.new")).expect("a link");
        fs::rename(path("..data.new"), path("..data")).expect("it is replaced");
    };
    version("..2026_01", "the first secret of two");
    symlink("..data/github", path("github")).expect("a link");
    let text = source(&mount.named("github"));
    assert_eq!(bytes(&read(&text).expect("good")), b"the first secret of two");
    version("..2026_02", "the second secret of two");
    assert_eq!(bytes(&read(&text).expect("good")), b"the second secret of two");
    fs::remove_file(path("..data")).expect("it is there");
    assert!(read(&text).expect("good").sources[0].verifier.is_pending(), "a link to nothing is no secret yet");
}

#[test]
fn a_secret_where_its_name_belongs_is_not_repeated() {
    for kind in ["env", "file"] {
        let text = source(&format!("{{ {kind} = \"whsec_canary0123456789\" }}"));
        let error = read(&text).map(drop).expect_err("it names nothing");
        let told = format!("{} {:?}", error.message, error.help);
        assert!(told.contains("looks like the secret itself") && !told.contains("canary"), "{told}");
        let shown = Cli::with_config(&text).run(&["check"]).expect(2);
        assert!(shown.stderr.contains("hookgate.toml:3"), "{}", shown.stderr);
    }
    let env = Environment::of([("whsec_name", "0123456789abcdef")]);
    assert!(read_as(&source("{ env = \"whsec_name\" }"), &env, Keys::Look).is_ok(), "a variable of that name is one");
}

#[test]
fn strict_secrets_points_at_each_short_and_each_absent_one() {
    let http = |line: &str| format!("{SOURCES}{}", handler("h", "http://127.0.0.1:9/", line));
    for (text, place) in [
        (source("{ literal = \"0123456789abcdef\" }, { literal = \"short\" }"), "{ literal = \"short\" }"),
        (source("{ literal = \"0123456789abcdef\" }, { env = \"NOT_SET\" }"), "{ env = \"NOT_SET\" }"),
        (source("{ file = \"/nowhere/at/all\" }"), "{ file = \"/nowhere/at/all\" }"),
        (http("sign_with = { literal = \"short\" }"), "{ literal = \"short\" }"),
        (http("sign_with = { literal = \"whsec_c2hvcnQ=\" }"), "{ literal = \"whsec_c2hvcnQ=\" }"),
        (format!("{SOURCES}[admin]\ntoken = {{ literal = \"short\" }}\n"), "{ literal = \"short\" }"),
    ] {
        assert!(!read(&text).expect("only a warning").warnings.is_empty(), "{text}");
        let strict = format!("strict_secrets = true\n{text}");
        let error = read(&strict).map(drop).expect_err(&text);
        assert_eq!(error.span.map(|span| strict[span].to_owned()).as_deref(), Some(place));
        assert!(!error.message.contains("short\""), "{}", error.message);
        let asks = read_as(&strict, &Environment::default(), Keys::Leave);
        assert!(asks.is_ok(), "who only asks need not have them: {text}");
    }
    let env = Environment::of([("HOOKGATE_ADMIN_TOKEN", "short")]);
    assert!(read_as(SOURCES, &env, Keys::Look).expect("only a warning").warnings[0].contains("admin token"));
    assert!(read_as(&format!("strict_secrets = true\n{SOURCES}"), &env, Keys::Look).is_err());
}

#[test]
fn a_token_that_nobody_can_send_is_an_error() {
    for token in
        ["0123456789abcdef\r", "0123456789abcdef ", " 0123456789abcdef", "0123456789\u{e9}abcdef", "0123456789abcdef\u{1b}"]
    {
        let text = format!("[admin]\ntoken = {{ env = \"T\" }}\n{SOURCES}");
        let named = read_as(&text, &Environment::of([("T", token)]), Keys::Look).map(drop).expect_err(token);
        assert_eq!(named.span.clone().map(|span| text[span].to_owned()).as_deref(), Some("{ env = \"T\" }"));
        let own = Environment::of([("HOOKGATE_ADMIN_TOKEN", token)]);
        let own = read_as(SOURCES, &own, Keys::Look).map(drop).expect_err(token);
        for error in [named, own] {
            assert!(error.message.contains("nobody can send") && !error.message.contains("0123"), "{}", error.message);
        }
    }
}

#[tokio::test]
async fn every_secret_of_a_source_is_taken_the_story_names_which_and_the_first_signs() {
    let files = Files::new();
    let (newest, older) = ("the newest secret, of a file", "the older secret, in the config");
    let file = files.write("newest", format!("{newest}\n").as_bytes(), 0o600);
    let target = Target::start([]).await;
    let config =
        format!("{}{}", source(&format!("{file}, {{ literal = \"{older}\" }}")), handler("h", &target.url(), "resign = true"));
    let gateway = Gateway::start(&config).await;
    for (secret, delivery) in [(newest, "one"), (older, "two")] {
        let request = http::request("POST", "/hooks/x", &sender::github(secret, delivery, "push", b"{}"), b"{}");
        assert_eq!(gateway.send(&request).await.status, 200, "{secret}");
        assert_eq!(gateway.event("x", delivery).await["secret"], json!(print_of(secret)));
        let expected = sender::github(newest, delivery, "push", b"{}");
        let signature = expected.iter().find(|(name, _)| name == "X-Hub-Signature-256").map(|(_, value)| value.as_str());
        assert_eq!(target.call().await.header("x-hub-signature-256"), signature);
        gateway.attempt().await;
    }
    let stranger = sender::github("a secret of nobody's", "three", "push", b"{}");
    assert_eq!(gateway.send(&http::request("POST", "/hooks/x", &stranger, b"{}")).await.status, 401);
}

#[tokio::test]
async fn a_pending_source_gets_503_and_is_named_as_not_ready_while_the_others_serve() {
    let more = "[sources.later]\nprovider = \"github\"\nsecrets = [{ env = \"NOT_SET\" }]\n\
                [sources.given-up]\nprovider = \"github\"\nretired = true\n";
    let gateway = Gateway::start(&format!("{SOURCES}{more}")).await;
    let later = http::request("POST", "/hooks/later", &sender::github(GITHUB, "one", "push", b"{}"), b"{}");
    assert_eq!(gateway.send(&later).await.status, 503);
    gateway.accept("evt_1", "invoice.paid").await;
    let ready = gateway.ask("GET", "/readyz", &sender::Fields::new(), b"").await;
    assert_eq!((ready.status, ready.json()), (200, json!({ "ready": true, "pending": ["later"] })));
    let all = Gateway::start(SOURCES).await;
    assert_eq!(all.ask("GET", "/readyz", &sender::Fields::new(), b"").await.json(), json!({ "ready": true }));
}

#[tokio::test]
async fn a_secret_that_comes_later_or_is_rotated_is_found_at_a_reload() {
    let files = Files::new();
    let text = source(&format!("{}, {}", files.named("newest"), files.named("older")));
    let gateway = Gateway::start(&text).await;
    let mut deliveries = 0;
    let mut sends = async |secret: &str| {
        deliveries += 1;
        let fields = sender::github(secret, &deliveries.to_string(), "push", b"{}");
        gateway.send(&http::request("POST", "/hooks/x", &fields, b"{}")).await.status
    };
    let (first, second) = ("the first secret of two", "the second secret of two");
    assert_eq!(sends(first).await, 503);
    files.write("newest", first.as_bytes(), 0o600);
    assert_eq!(sends(first).await, 503, "a file is read at a load alone");
    gateway.reload(&text).await;
    assert_eq!((sends(first).await, sends(second).await), (200, 401));
    files.write("older", first.as_bytes(), 0o600);
    files.write("newest", second.as_bytes(), 0o600);
    gateway.reload(&text).await;
    assert_eq!((sends(first).await, sends(second).await), (200, 200), "while it is rotated both are taken");
    let fingerprints = gateway.get("sources").await["sources"][0]["secrets"].clone();
    let secret = |text: &str| json!({ "slot": "signing", "fingerprint": print_of(text), "short": false });
    assert_eq!(fingerprints, json!([secret(second), secret(first)]));
    fs::remove_file(files.0.path().join("older")).expect("it is there");
    gateway.reload(&text).await;
    assert_eq!((sends(first).await, sends(second).await), (401, 200));
}

#[test]
fn start_and_check_name_every_secret_by_its_fingerprint_and_say_what_is_pending() {
    let config = format!(
        "{}[sources.later]\nprovider = \"github\"\nsecrets = [{{ env = \"NOT_SET\" }}]\n[admin]\ntoken = {{ env = \"TOKEN\" }}\n{}",
        source("{ env = \"NEWEST\" }, { literal = \"short\" }"),
        handler("h", "http://127.0.0.1:9/", "sign_with = { env = \"KEY\" }\nheaders = { Authorization = { env = \"BEARER\" } }")
    );
    let (newest, token, key, bearer) =
        ("the newest of two", "a-token-of-16-bytes", "a key of the handler's", "Bearer 0123456789");
    let cli = Cli::with_config(&config).env("NEWEST", newest).env("TOKEN", token).env("KEY", key).env("BEARER", bearer);
    let [newest, short, token, key, bearer] = [newest, "short", token, key, bearer].map(print_of);
    let everywhere = [
        format!("secret {newest} from env NEWEST\n"),
        format!("secret {short} from literal, short\n"),
        "secret from env NOT_SET: none yet\n".to_owned(),
        format!("token {token}"),
        format!("    signing key {key}\n"),
        format!("    header authorization {bearer}\n"),
    ];
    let warnings = ["source later is pending", &format!("the secret {short} has under 16 bytes")];
    let told = cli.run(&["check"]).expect(0);
    let serving = cli.serve(&[]);
    let started = serving.stop().expect(0);
    for output in [told, started] {
        everywhere.iter().for_each(|words| assert!(output.stdout.contains(words.as_str()), "{words}: {}", output.stdout));
        warnings.iter().for_each(|words| assert!(output.stderr.contains(words), "{words}: {}", output.stderr));
    }
    let rows = cli.run(&["check", "--json"]).expect(0).json();
    let row = |kind: &str, name: &str| rows.iter().find(|row| row[kind] == name).unwrap_or_else(|| panic!("{rows:?}")).clone();
    assert_eq!(
        row("source", "x")["secrets"][1],
        json!({ "slot": "signing", "origin": "literal", "fingerprint": short, "short": true })
    );
    let absent = json!([{ "slot": "signing", "origin": "env NOT_SET", "fingerprint": null, "short": null }]);
    assert_eq!((&row("source", "later")["secrets"], &row("source", "later")["pending"]), (&absent, &json!(true)));
    let secrets =
        json!([{ "name": "signing key", "fingerprint": key }, { "name": "header authorization", "fingerprint": bearer }]);
    assert_eq!(row("handler", "h")["secrets"], secrets);
    let serving = cli.serve(&["--log-format", "json"]);
    let line = serving.process.stderr.line("\"source.name\":\"later\"");
    assert!(line.contains("\"source.pending\":true"), "{line}");
    let line = serving.process.stderr.line("\"source.name\":\"x\"");
    assert!(line.contains(&format!("\"source.secrets\":\"{newest} {short}\"")), "{line}");
    serving.stop().expect(0);
}

#[test]
fn the_demo_warns_of_weak_secrets_as_a_config_does() {
    let cli = Cli::new().env("GITHUB_WEBHOOK_SECRET", "short ").env("HOOKGATE_ADMIN_TOKEN", "a-token");
    let warnings = [
        format!("the admin token {} has under 16 bytes", print_of("a-token")),
        "the secret of env GITHUB_WEBHOOK_SECRET begins or ends with white space".to_owned(),
        format!("source github: the secret {} has under 16 bytes", print_of("short ")),
    ];
    let told = cli.run(&["check"]).expect(0);
    let started = cli.serve(&[]).stop().expect(0);
    for output in [told, started] {
        warnings.iter().for_each(|words| assert!(output.stderr.contains(words), "{words}: {}", output.stderr));
    }
    let empty = Cli::new().env("GITHUB_WEBHOOK_SECRET", " ");
    empty.run(&["check"]).fails(2, &["GITHUB_WEBHOOK_SECRET", "unset it to have one made"]);
}

#[test]
fn log_show_names_the_secret_that_matched() {
    let cli = Cli::with_config(SOURCES);
    let serving = cli.serve(&[]);
    let body = stripe_body("evt_1", "invoice.paid");
    let now_s = hookgate::clock::Clock::wall(&hookgate::clock::SystemClock::new()).unix_s();
    let request = http::request("POST", "/hooks/stripe", &sender::stripe(STRIPE, now_s, &body), &body);
    assert_eq!(runtime().block_on(http::exchange(serving.listen, &request)).status, 200);
    let known = print_of(STRIPE);
    let told = cli.run(&["log", "show", "evt_1"]).expect(0).stdout;
    assert!(told.contains(&format!(", secret {known}\n")), "{told}");
    assert_eq!(cli.run(&["log", "show", "evt_1", "--json"]).expect(0).json()[0]["secret"], json!(known));
    serving.stop().expect(0);
}

//! Canaries: secrets that must be in no output, wherever a secret can be. The real binary is made to say all that it can say, and
//! every byte of it is searched, as text, hex digits and base64 at any place.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use hookgate::clock::{Clock, SystemClock};
use hookgate::config::{self, ConfigText, Environment, Flags, Keys};
use hookgate::handler::{HttpClient, HttpHandler, HttpHandlerSettings};
use hookgate::model::{Delivery, DeliveryId, Headers, Secret, Timestamp};
use hookgate::verify::VerifierSettings;
use hookgate::web::Guard;

use crate::helpers::cli::{Cli, Output, Serving, fixtures};
use crate::helpers::gateway::runtime;
use crate::helpers::http::{self, Answer};
use crate::helpers::sender::{self, Fields, fields, hex_text};
use crate::helpers::target::{Reply, Target};

/// In every canary, so that a part of one is found as well.
const MARK: &str = "kanarienvogel";
/// In the body of each delivery: the database keeps it as it came, and nothing shows it unasked.
const BODY: &str = "nachtigall-of-the-body";

/// A canary of this name: long enough to be a secret.
fn canary(name: &str) -> String {
    format!("{MARK}-{name}-0123456789")
}

/// The canary of the source with a Standard Webhooks secret, whose key is the canary and whose text is the base64 of it.
fn standard() -> String {
    format!("whsec_{}", base64::engine::general_purpose::STANDARD.encode(canary("standard")))
}

/// What a mark looks like in every encoding: as text, as hex digits, as base64 at each of the three places of a group.
fn looks(mark: &str) -> Vec<Vec<u8>> {
    let mut looks =
        vec![mark.to_owned(), mark.to_uppercase(), hex_text(mark.as_bytes()), hex_text(mark.as_bytes()).to_uppercase()];
    for before in 0..3_usize {
        let shifted = [vec![b'x'; before], mark.as_bytes().to_vec()].concat();
        // Characters that hold bits of a neighbour are left out.
        let (first, last) = ((before * 8).div_ceil(6), shifted.len() * 8 / 6);
        looks.extend(
            [STANDARD_NO_PAD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)].map(|text| text[first..last].to_owned()),
        );
    }
    looks.into_iter().map(String::into_bytes).collect()
}

/// The first of these marks in a text, with what is around it.
fn found(marks: &[&str], bytes: &[u8]) -> Option<String> {
    let looks = marks.iter().flat_map(|mark| looks(mark));
    let at = looks.filter_map(|look| bytes.windows(look.len()).position(|window| window == look.as_slice())).next()?;
    let around = &bytes[at.saturating_sub(80)..bytes.len().min(at + 80)];
    Some(String::from_utf8_lossy(around).escape_debug().to_string())
}

#[track_caller]
fn assert_clean(what: &str, bytes: impl AsRef<[u8]>) {
    if let Some(found) = found(&[MARK, BODY], bytes.as_ref()) {
        panic!("{what} holds a canary: …{found}…");
    }
}

#[track_caller]
fn clean(what: &str, output: Output) -> Output {
    assert_clean(&format!("stdout of {what}"), &output.stdout);
    assert_clean(&format!("stderr of {what}"), &output.stderr);
    output
}

#[test]
fn a_canary_is_found_in_every_encoding() {
    for text in [canary("x"), BODY.to_owned()] {
        for before in ["", "a", "ab", "abc", "abcd"] {
            let within = format!("{before}{text}{before}");
            let all =
                [within.clone(), hex_text(within.as_bytes()), STANDARD_NO_PAD.encode(&within), URL_SAFE_NO_PAD.encode(&within)];
            for encoded in all {
                assert!(found(&[MARK, BODY], encoded.as_bytes()).is_some(), "{encoded}");
            }
        }
    }
    assert!(found(&[MARK, BODY], b"nothing of that kind").is_none());
}

/// A gateway with a canary in every place where a secret can be.
struct Aviary {
    cli: Cli,
    _targets: [Target; 2],
}

/// What may hold canaries in the directory: what the test wrote there itself.
const OWN_FILES: [&str; 3] = ["hookgate.toml", "stripe-old", "key"];

impl Aviary {
    fn new() -> Self {
        let reply = format!("HTTP/1.1 500 Broken\r\nContent-Length: 100\r\nX-Canary: {0}\r\n\r\n{0}{0}", canary("answer"));
        let broken = runtime().block_on(Target::start(vec![Reply::bytes(&reply); 20]));
        let well = format!(
            "HTTP/1.1 200 {0}\r\nContent-Length: {1}\r\nConnection: close\r\n\r\n{0}",
            canary("answer"),
            canary("answer").len()
        );
        let well = runtime().block_on(Target::start(vec![Reply::bytes(&well); 20]));
        let config = format!(
            r#"
[admin]
token = {{ env = "TOKEN" }}

[sources.stripe]
provider = "stripe"
secrets = [{{ env = "STRIPE" }}, {{ file = "stripe-old" }}, {{ literal = "{literal}" }}]

[sources.github]
provider = "github"
secrets = [{{ env = "GITHUB" }}]

[sources.standard]
provider = "standard-webhooks"
secrets = [{{ env = "STANDARD" }}]

[sources.slots]
provider = "acme"
secrets = [{{ env = "SLOT_1" }}, {{ env = "SLOT_2", slot = "second" }}]

[[providers.acme.check]]
id = "one"
kind = "hmac"
algorithm = "sha256"
signature = {{ from = "header:X-Acme-1", encoding = "hex" }}

[[providers.acme.check]]
id = "two"
kind = "hmac"
algorithm = "sha256"
secret = "second"
signature = {{ from = "header:X-Acme-2", encoding = "hex" }}

[providers.acme.event]
id = ["{{header:X-Acme-Id}}"]

[handlers.broken]
url = "{broken}?token={in_url}"
headers = {{ Authorization = {{ env = "BEARER" }}, X-Plain = "{plain}" }}
sign_with = {{ env = "KEY" }}

[handlers.well]
url = "{well}?token={in_url}"
headers = {{ Authorization = {{ file = "key" }} }}
sign_with = {{ file = "key" }}

[handlers.gone]
url = "http://127.0.0.1:9/{in_path}?token={in_url}"
sources = ["stripe", "github", "standard"]
resign = true
"#,
            literal = canary("literal"),
            broken = broken.url(),
            well = well.url(),
            in_url = canary("url"),
            in_path = "hook",
            plain = canary("plain"),
        );
        let mut cli = Cli::with_config(&config).env("STANDARD", &standard());
        for (variable, name) in [
            ("STRIPE", "stripe"),
            ("GITHUB", "github"),
            ("SLOT_1", "slot"),
            ("SLOT_2", "second"),
            ("BEARER", "bearer"),
            ("KEY", "key"),
            ("TOKEN", "token"),
        ] {
            cli = cli.env(variable, &canary(name));
        }
        for name in ["stripe-old", "key"] {
            cli.write(name, &format!("{}\n", canary(name)));
            fs::set_permissions(cli.path(name), fs::Permissions::from_mode(0o644)).expect("our own file");
        }
        Self { cli, _targets: [broken, well] }
    }

    /// Every kind of delivery, the strangers' with canaries in their headers.
    fn send(&self, serving: &Serving) {
        let now_s = SystemClock::new().wall().unix_s();
        let id = |id: &str| format!("{{\"id\":\"{id}\",\"type\":\"a.b\",\"note\":\"{BODY}\"}}").into_bytes();
        let acme = |name: &str, secret: &str, body: &[u8]| {
            let tag = sender::tag(ring::hmac::HMAC_SHA256, canary(secret).as_bytes(), &[body]);
            fields(&[("X-Acme-Id", "acme_1"), (name, &hex_text(&tag))])
        };
        let stripe = |secret: &str, body: &[u8]| sender::stripe(&canary(secret), now_s, body);
        let bad = fields(&[("Stripe-Signature", &format!("t={now_s},v1={}", canary("signature")))]);
        for (source, own, body, status) in [
            ("stripe", stripe("stripe", &id("evt_1")), id("evt_1"), 200),
            ("stripe", stripe("stripe-old", &id("evt_1")), id("evt_1"), 200),
            ("stripe", stripe("literal", &id("evt_2")), id("evt_2"), 200),
            ("stripe", stripe("stripe", BODY.as_bytes()), BODY.into(), 400),
            ("github", sender::github(&canary("github"), "one", "push", &id("x")), id("x"), 200),
            ("github", sender::github(&canary("github"), "one", "push", &id("y")), id("y"), 200),
            ("standard", sender::standard_webhooks(&standard(), "msg_1", now_s, &id("z")), id("z"), 200),
            ("slots", acme("X-Acme-1", "slot", &id("1")), id("1"), 200),
            ("slots", acme("X-Acme-2", "second", &id("1")), id("1"), 200),
            ("stripe", bad, id("evt_3"), 401),
            ("github", Fields::new(), id("x"), 401),
            (&format!("nobody?token={}", canary("query")), Fields::new(), id("x"), 404),
        ] {
            let mut all = own;
            all.extend(fields(&[
                ("Authorization", &format!("Bearer {}", canary("authorization"))),
                ("Cookie", &format!("session={}", canary("cookie"))),
                ("X-Forwarded-For", &canary("forwarded")),
                ("X-Unknown", &canary("header")),
                ("User-Agent", "a sender"),
            ]));
            let answer = runtime()
                .block_on(http::exchange(serving.listen, &http::request("POST", &format!("/hooks/{source}"), &all, &body)));
            assert_eq!(answer.status, status, "{source}: {}", answer.text());
            assert_clean("an answer", whole(&answer));
        }
    }

    /// Every file that the gateway made: bodies may be in them, secrets not.
    fn look_at_files(&self, serving: &Serving) {
        let (mut seen, mut bodies) = (Vec::new(), false);
        for file in fs::read_dir(self.cli.directory.path()).expect("a directory") {
            let path = file.expect("a file").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("text").to_owned();
            if !OWN_FILES.contains(&name.as_str()) {
                let bytes = fs::read(&path).expect("a file");
                // The reserve is long and says nothing.
                if bytes.iter().all(|byte| *byte == 0) {
                    continue;
                }
                bodies |= found(&[BODY], &bytes).is_some();
                assert_eq!(found(&[MARK], &bytes), None, "{name}");
                seen.push(name);
            }
        }
        assert!(bodies, "the database was looked at");
        let ready = serving.ready.file_name().and_then(|name| name.to_str()).expect("text");
        assert!(["hookgate.db", "hookgate.db.lock", ready].iter().all(|name| seen.iter().any(|seen| seen == name)), "{seen:?}");
    }
}

/// An answer with its fields.
fn whole(answer: &Answer) -> Vec<u8> {
    let head: String = answer.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    [head.as_bytes(), &answer.body].concat()
}

#[test]
fn no_command_no_log_and_no_file_of_the_store_holds_a_canary() {
    for (format, verbosity) in [("pretty", &["-v", "-v", "-v"][..]), ("json", &["-v", "-v", "-v"]), ("json", &[])] {
        let aviary = Aviary::new();
        let serving = aviary.cli.serve(&[&["--log-format", format], verbosity].concat());
        aviary.send(&serving);
        // Five events, each with a first call that fails.
        let is_failed = |line: &str| line.contains("broken") && (line.contains("attempt 1 ") || line.contains("\"attempt\":1,"));
        let failed = |lines: &[String]| lines.iter().filter(|line| is_failed(line)).count();
        let told = if format == "json" { &serving.process.stderr } else { &serving.process.stdout };
        told.wait_for(|lines| failed(lines) >= 5).expect("it runs");
        ask_everything(&aviary, &serving);
        aviary.look_at_files(&serving);
        clean("serve", serving.stop().expect(0));
        let offline: [&[&str]; 3] =
            [&["log"], &["log", "show", "stripe/evt_1"], &["redrive", "--force", "--yes", "stripe/evt_1"]];
        for command in offline {
            clean(&command.join(" "), aviary.cli.run(command).expect(0));
        }
    }
}

/// What an operator can ask, by the command line and by the admin API.
fn ask_everything(aviary: &Aviary, serving: &Serving) {
    let cli = &aviary.cli;
    let (url, fixture) = (serving.url(), fixtures("github/ping"));
    let commands: &[(&[&str], i32)] = &[
        (&["check"], 0),
        (&["check", "--json"], 0),
        (&["log"], 0),
        (&["log", "--json"], 0),
        (&["log", "-v", "-v", "-v", "--verdict", "rejected"], 0),
        (&["log", "show", "stripe/evt_1"], 0),
        (&["log", "show", "stripe/evt_1", "--json"], 0),
        (&["log", "show", "github/one"], 0),
        (&["log", "show", "nobody/knows"], 1),
        (&["redrive", "--force", "--yes", "stripe/evt_1"], 0),
        (&["redrive", "--force", "--yes", "--json", "stripe/evt_2"], 0),
        (&["replay", &fixture, "--to", &url, "--yes"], 0),
        (&["replay", &fixture, "--to", &url, "--yes", "--json", "-v", "-v", "-v"], 0),
        (&["replay", &fixture, "--to", &url, "--yes", "--secret-env", "STRIPE"], 1),
        (&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"], 3),
    ];
    for (command, code) in commands {
        clean(&command.join(" "), cli.run(command).expect(*code));
    }
    let right = format!("Bearer {}", canary("token"));
    for (authorization, paths) in [
        (
            right.as_str(),
            &["/readyz", "/api/v1/deliveries", "/api/v1/events?source=stripe&event_id=evt_1", "/api/v1/deliveries?x=1", "/x"][..],
        ),
        (&format!("Bearer {}", canary("wrong-token")), &["/readyz", "/api/v1/deliveries"]),
        (&canary("no-scheme"), &["/api/v1/deliveries"]),
    ] {
        for path in paths {
            let asked = fields(&[("Authorization", authorization), ("Cookie", &canary("cookie"))]);
            let answer = runtime().block_on(http::exchange(serving.admin, &http::request("GET", path, &asked, b"")));
            assert_clean(path, whole(&answer));
        }
    }
}

#[test]
fn a_refused_token_is_not_repeated() {
    let aviary = Aviary::new();
    let serving = aviary.cli.serve(&[]);
    let stranger = aviary.cli.env("HOOKGATE_ADMIN_TOKEN", &canary("wrong-token"));
    for command in [&["log"][..], &["log", "--log-format", "json", "-v", "-v", "-v"], &["redrive", "--yes", "stripe/evt_1"]] {
        clean("a command with a wrong token", stranger.run(command).expect(2));
    }
    clean("serve", serving.stop().expect(0));
}

#[test]
fn no_error_about_the_configuration_repeats_a_canary_of_its_line() {
    let secret = canary("line");
    let source = |lines: &str| format!("[sources.x]\nprovider = \"standard-webhooks\"\n{lines}\n");
    let handler = |lines: &str| format!("{}[handlers.h]\n{lines}\n", source(""));
    let url = "url = \"http://127.0.0.1:9/\"\n";
    let cases = [
        source(&format!("secrets = [\"{secret}\"]")),
        source(&format!("secrets = \"{secret}\"")),
        source(&format!("secrets = [{secret}]")),
        source(&format!("secrets = [\n  \"{secret}\",\n]")),
        source(&format!("secrets = [{{ literal = \"{secret}\" }}]")),
        source(&format!("secrets = [{{ literal = \"whsec_{secret}!\" }}]")),
        source(&format!("secrets = [{{ literal = \"\"\"\n{secret}\"\"\" }}]")),
        source(&format!("secrets = [{{ literal = \"{secret}\", slot = \"x\" }}]")),
        source(&format!("secrets = [{{ literal = \"{secret}\", env = \"X\" }}]")),
        source(&format!("secrets = [{{ literal = \"{secret}\", evn = \"X\" }}]")),
        source(&format!("secrets = [{{ env = \"whsec_{secret}\" }}]")),
        source(&format!("secrets = [{{ file = \"whsec_{secret}\" }}]")),
        source(&format!("secrts = [{{ literal = \"{secret}\" }}]")),
        source(&format!("secret = \"{secret}\"")),
        source(&format!("tolerance = 5 # was {secret}")),
        source(&format!("\"{secret}\"")),
        source(&format!("secrets = [{{ literal = \"{secret} }}]")),
        source(&format!("secrets = [{{ literal = \"\\q{secret}\" }}]")),
        format!("[admin]\ntoken = \"{secret}\"\n{}", source("")),
        format!("[admin]\ntoken = {{ literal = \"{secret} \u{e9}\" }}\n{}", source("")),
        format!("listen = \"0.0.0.0:1\"\n[admin]\ntoken = {{ literal = \"{secret}\" }}\n{}", source("")),
        format!("database = \"postgres://user:{secret}@host/x\"\n{}", source("")),
        format!("public_url = \"ftp://user:{secret}@host/x\"\n{}", source("")),
        handler(&format!("url = \"http://user:{secret}@127.0.0.1/\"")),
        handler(&format!("url = \"ftp://127.0.0.1/?{secret}\"")),
        handler(&format!("url = [\"{secret}\"]")),
        handler(&format!("{url}sign_with = \"{secret}\"")),
        handler(&format!("{url}sign_with = {{ literal = \"whsec_{secret}!\" }}")),
        handler(&format!("{url}headers = {{ Host = \"{secret}\" }}")),
        handler(&format!("{url}headers = {{ X = \"{secret}\\u0007\" }}")),
        handler(&format!("{url}headers = [\"{secret}\"]")),
        handler(&format!("{url}[handlers.h.headers]\nAuthorization = \"Bearer {secret}\\n\"")),
        handler(&format!("{url}[handlers.h.headers]\nevents = \"{secret}\\n\"")),
        handler(&format!("{url}timeout = 5\n# {secret}")),
    ];
    for config in cases {
        let cli = Cli::with_config(&config);
        for format in ["pretty", "json"] {
            for command in ["check", "serve"] {
                let told = cli.run(&[command, "--log-format", format]);
                assert!(told.code == 2 && !told.stderr.is_empty(), "{config}{}", told.stderr);
                clean(&config.replace(&secret, "…"), told);
            }
        }
    }
    for (variable, value) in [("HOOKGATE_ADMIN_TOKEN", format!("{secret}\n")), ("STANDARD", format!("{secret}!"))] {
        let cli = Cli::with_config(&source("secrets = [{ env = \"STANDARD\" }]")).env(variable, &value);
        clean(variable, cli.run(&["check"]).expect(2));
    }
}

#[test]
fn nothing_that_holds_a_secret_shows_it_by_its_debug_form() {
    let secret = || Secret::new(canary("debug").into_bytes()).expect("not empty");
    let text = format!(
        "[admin]\ntoken = {{ literal = \"{0}\" }}\n[sources.x]\nprovider = \"github\"\nsecrets = [{{ literal = \"{0}\" }}]\n\
         [handlers.h]\nurl = \"http://127.0.0.1:9/{0}?{0}\"\nsign_with = {{ literal = \"{0}\" }}\n\
         headers = {{ A = \"{0}\", B = {{ literal = \"{0}\" }} }}\n",
        canary("debug")
    );
    let env = Environment::of([("S", &canary("debug"))]);
    let settings = config::load_text(&text, None, &Flags::default(), &env, Keys::Look).expect("good");
    let written: ConfigText = toml::from_str(&text).expect("good");
    let verifier = VerifierSettings {
        source: settings.sources[0].name.clone(),
        preset: std::sync::Arc::clone(&settings.sources[0].preset),
        secrets: vec![("signing".to_owned(), secret())],
        allow: None,
        tolerance: None,
        params: std::collections::BTreeMap::new(),
        kept_headers: Vec::new(),
    };
    runtime();
    let client = HttpClient::new().expect("a client");
    let of_handler = || HttpHandlerSettings {
        client: client.clone(),
        url: format!("http://127.0.0.1:9/?{}", canary("debug")).parse().expect("a URL"),
        headers: vec![("authorization".to_owned(), secret())],
        forward_headers: None,
        sign_with: secret(),
        resign: None,
    };
    let mut headers = Headers::new();
    headers.push("authorization", canary("debug"));
    let delivery = Delivery {
        id: DeliveryId(uuid::Uuid::nil()),
        method: "POST".into(),
        headers,
        body: canary("debug").into(),
        received_at: Timestamp::from_unix_s(0),
    };
    let handler = HttpHandler::new(of_handler()).expect("good");
    let guard = Guard::new(Some(secret()), ([127, 0, 0, 1], 1).into());
    let shown: [&dyn std::fmt::Debug; 9] =
        [&secret(), &env, &settings, &written, &verifier, &of_handler(), &handler, &guard, &delivery];
    for value in shown {
        for text in [format!("{value:?}"), format!("{value:#?}")] {
            assert_clean(&text.replace(MARK, "…"), &text);
        }
    }
}

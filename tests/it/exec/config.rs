//! `exec` in the configuration: what is wrong is said at its place, what is doubtful is warned of.

use hookgate::config::{self, ConfigErrorKind, Environment, Flags, HandlerKind, Keys, Settings};

use crate::helpers::cli::Cli;
use crate::helpers::gateway::SOURCES;

fn handled(lines: &str) -> String {
    format!("{SOURCES}\n[handlers.deploy]\n{lines}\n")
}

fn good(text: &str, env: &Environment) -> Settings {
    config::load_text(text, None, &Flags::default(), env, Keys::Look).unwrap_or_else(|error| panic!("{error} {:?}", error.help))
}

#[test]
fn what_cannot_be_meant_is_refused_at_its_place_with_what_to_do() {
    let exec = "exec = [\"./x\"]";
    let cases = [
        ("url = \"http://127.0.0.1/\"\nexec = [\"./x\"]".to_owned(), "[\"./x\"]", "`url` or an `exec`"),
        ("timeout = \"1s\"".to_owned(), "deploy", "neither"),
        ("exec = []".to_owned(), "[]", "no program"),
        ("exec = [\"\"]".to_owned(), "[\"\"]", "no program"),
        ("exec = \"./x y\"".to_owned(), "\"./x y\"", "sequence"),
        ("url = \"http://127.0.0.1/\"\nenv = [\"A\"]".to_owned(), "[\"A\"]", "`env`"),
        (format!("{exec}\nheaders = {{ X-A = \"b\" }}"), "X-A", "`headers`"),
        (format!("{exec}\nforward_headers = [\"x-a\"]"), "\"x-a\"", "`forward_headers`"),
        (format!("{exec}\nsign_with = {{ literal = \"whsec_canary\" }}"), "{ literal = \"whsec_canary\" }", "`sign_with`"),
        (format!("{exec}\nresign = true"), "[\"./x\"]", "`resign`"),
        (format!("{exec}\nenv = [\"A=B\"]"), "\"A=B\"", "variable"),
        (format!("{exec}\nenv = [\"1A\"]"), "\"1A\"", "variable"),
        (format!("{exec}\nenv = [\"HOOKGATE_EVENT_ID\"]"), "\"HOOKGATE_EVENT_ID\"", "set by the gateway"),
        (format!("{exec}\nfinal_statuses = [0]"), "0", "1 to 255"),
        (format!("{exec}\nfinal_statuses = [256]"), "256", "1 to 255"),
        ("exec = [\"./x\", \"a\\u0000b\"]".to_owned(), "\"a\\u0000b\"", "NUL"),
    ];
    let long = format!("[\"./x\", \"{}\"]", "a".repeat(64 << 10));
    let long = (format!("exec = {long}"), long.as_str(), "64 KiB");
    for (lines, place, says) in cases.into_iter().chain([long]) {
        let text = handled(&lines);
        let error = config::load_text(&text, None, &Flags::default(), &Environment::default(), Keys::Look);
        let error = error.map(|_| ()).expect_err(&text);
        assert_eq!(error.kind, ConfigErrorKind::Usage);
        assert_eq!(error.span.and_then(|span| text.get(span)), Some(place), "{lines}: {}", error.message);
        assert!(error.message.contains(says), "{lines}: {}", error.message);
    }
}

#[test]
fn a_command_gets_four_variables_of_ours_and_those_that_it_names_where_they_are_set() {
    let env = Environment::of([("PATH", "/bin"), ("HOME", "/h"), ("TZ", "UTC"), ("A", "1"), ("B", "2"), ("SECRET", "x")]);
    let settings = good(&handled("exec = [\"sh\"]\nenv = [\"A\", \"PATH\", \"MISSING\", \"HOOKGATE_CONFIG\"]"), &env);
    let HandlerKind::Exec(exec) = &settings.handlers[0].kind else { panic!("it is a command") };
    let mut names: Vec<_> = exec.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    names.sort();
    assert_eq!(names, ["A=1", "HOME=/h", "PATH=/bin", "TZ=UTC"]);
    assert_eq!(exec.unset, ["MISSING", "HOOKGATE_CONFIG"]);
    assert!(settings.warnings.iter().any(|warning| warning.contains("MISSING")), "{:?}", settings.warnings);
    assert!(!format!("{settings:?}").contains("/h"), "values are not shown");
}

#[test]
fn check_says_what_a_command_is_for_and_warns_where_it_cannot_be_started() {
    let config = handled("exec = [\"./deploy.sh\", \"canary\"]\nfinal_statuses = [3]");
    let cli = Cli::with_config(&config);
    let missing = cli.run(&["check"]).expect(0);
    assert!(missing.stdout.contains("runs ./deploy.sh with 1 argument"), "{}", missing.stdout);
    assert!(missing.stderr.contains("no program `./deploy.sh` in "), "{}", missing.stderr);
    cli.write("deploy.sh", "#!/bin/sh\n");
    let plain = cli.run(&["check"]).expect(0);
    assert!(plain.stderr.contains("not executable"), "{}", plain.stderr);
    cli.executable("deploy.sh", "#!/bin/sh\n");
    assert_eq!(cli.run(&["check"]).expect(0).stderr, "");
    let unknown =
        Cli::with_config(&handled("exec = [\"no-such-program\"]")).env("PATH", "/usr/bin:/bin").run(&["check"]).expect(0);
    assert!(unknown.stderr.contains("no program `no-such-program` in PATH"), "{}", unknown.stderr);
}

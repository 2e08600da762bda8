// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The command as its user meets it: exit statuses, keys, colours, and the terminal afterwards.
//!
//! A program in QEMU's place prints what a test wants and runs as long as the test wants.

#[path = "command/console.rs"]
mod console;
#[path = "command/flash.rs"]
mod flash;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use abi::console::{self as wire, Check};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Termios, tcgetattr};

const FAKE: &str =
    "#!/bin/sh\n[ -z \"$SAID\" ] || cat \"$SAID\"\n[ -z \"$STAYS\" ] || exec sleep \"$STAYS\"\n";
/// How long an image may take to build beside other tests.
const BUILD: Duration = Duration::from_secs(120);

/// A directory with the fake QEMU.
fn room(name: &str) -> PathBuf {
    let room = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("command-{name}"));
    fs::create_dir_all(&room).unwrap();
    let qemu = room.join("qemu-system-aarch64");
    fs::write(&qemu, FAKE).unwrap();
    fs::set_permissions(&qemu, fs::Permissions::from_mode(0o755)).unwrap();
    room
}

fn path(room: &Path) -> String {
    format!("{}:{}", room.display(), std::env::var("PATH").unwrap())
}

/// A line of EL2's as it is on the wire.
fn own(text: &str) -> Vec<u8> {
    let check = text.bytes().chain(*b"00").fold(Check::START, Check::with).value();
    let (neutral, erase) = (wire::NEUTRAL, wire::ERASE);
    format!("\x18\x01{neutral}{text}\x03\r\n00{check:04x}{erase}").into_bytes()
}

/// The same with no number, as one that may come in any order.
fn own_unnumbered(text: &str) -> Vec<u8> {
    let number = wire::UNNUMBERED;
    let check = text.bytes().chain(number).fold(Check::START, Check::with).value();
    let number = String::from_utf8_lossy(&number).into_owned();
    let (neutral, erase) = (wire::NEUTRAL, wire::ERASE);
    format!("\x18\x01{neutral}{text}\x03\r\n{number}{check:04x}{erase}").into_bytes()
}

/// `bulkhead run hello` with a QEMU that says `said` and stays for `stays` seconds.
fn run(name: &str, said: &[u8], stays: &str, typed: &[u8], arguments: &[&str]) -> Output {
    let room = room(name);
    let file = room.join("said");
    fs::write(&file, said).unwrap();
    let mut command = tests::bulkhead();
    command.args(["run", "hello"]).args(arguments).env("PATH", path(&room)).env("SAID", file);
    command.env("STAYS", stays).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It stays open: the end of the input is no key.
    let mut keys = child.stdin.take().unwrap();
    keys.write_all(typed).unwrap();
    let output = child.wait_with_output().unwrap();
    drop(keys);
    output
}

#[test]
fn each_verdict_has_a_status_of_its_own() {
    let differs = "bulkhead: hardware differs from the plan: x: the plan says 0x1, found 0x2";
    let cases: [(&str, Vec<u8>, i32); 5] = [
        ("pass", own("bulkhead: result: pass"), 0),
        ("fail", own("bulkhead: result: fail"), 3),
        ("differs", own(differs), 5),
        ("stopped", own("bulkhead: stopped: panic"), 6),
        ("silent", Vec::new(), 7),
    ];
    for (name, said, status) in cases {
        let output = run("status", &said, "", b"", &[]);
        assert_eq!(output.status.code(), Some(status), "{name}: {output:?}");
    }
    let output = run("status", b"", "60", b"", &["--timeout", "1"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("no result within 1 s"), "{said}");
    assert!(said.contains("not one byte has come"), "{said}");
}

#[test]
fn the_escape_key_and_q_leave_through_a_pipe() {
    let started = Instant::now();
    let output = run("quit", b"", "200", b"\x1dq", &[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(8), "{said}");
    assert!(said.contains("Ctrl-] q on the input ends the run"), "{said}");
    assert!(started.elapsed() < BUILD, "it waited for the end of QEMU");
}

#[test]
fn colours_are_as_the_environment_wants_them() {
    let coloured = |environment: &[(&str, &str)]| {
        let mut command = tests::bulkhead();
        command.args(["check", "tests/bad/E301-cpu-twice.toml"]);
        command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
        let output = command.envs(environment.iter().copied()).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).contains("\x1b[")
    };
    assert!(!coloured(&[]), "into a pipe");
    assert!(coloured(&[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&[("CLICOLOR_FORCE", "0")]));
    assert!(!coloured(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
}

#[test]
fn the_plan_is_a_page_too() {
    let page = room("page").join("hello plan.html");
    let output = tests::bulkhead().args(["plan", "hello", "--html"]).arg(&page).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), page.to_str().unwrap());
    let written = fs::read_to_string(&page).unwrap();
    let beside = fs::read_to_string(tests::root().join("target/bulkhead/hello/plan.html"));
    assert_eq!(written, beside.unwrap());
    let toml = fs::read(tests::root().join("configs/hello.toml")).unwrap();
    let row = "<th scope=\"row\">configs/hello.toml</th>";
    assert!(written.contains(&format!("{row}<td class=\"number\">{}</td>", toml.len())));
}

/// Those that are found while the plan is made are among them.
#[test]
fn warnings_are_on_the_page_and_on_the_screen() {
    let page = room("warnings").join("plan.html");
    let mut plan = tests::bulkhead();
    plan.args(["plan", "tests/bad/W614-tree-lacks.toml", "--html"]).arg(&page);
    let said = String::from_utf8_lossy(&plan.output().unwrap().stderr).into_owned();
    assert!(said.contains("warning[W614"), "{said}");
    assert!(fs::read_to_string(&page).unwrap().contains("warning[W614"));
}

#[test]
fn a_plan_is_compared_with_an_older_one() {
    let room = room("against");
    let plan = |arguments: &[&str]| {
        tests::bulkhead().args(["plan", "hello"]).args(arguments).output().unwrap()
    };
    let said = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
    let old = room.join("old.json");
    fs::write(&old, plan(&["--json"]).stdout).unwrap();
    let old = old.to_str().unwrap();
    let same = said(&plan(&["--against", old]));
    assert!(same.ends_with(": 0 changes\n"), "{same}");
    let text = fs::read_to_string(old).unwrap();
    let (here, there) = ("\"escape\": 29", "\"escape\": 1, \"gone\": 7");
    assert!(text.contains(here));
    fs::write(old, text.replace(here, there)).unwrap();
    let changed = said(&plan(&["--against", old]));
    assert!(changed.contains(": 2 changes\n\nescape\n  1 -> 29\n\ngone\n- 7\n"), "{changed}");
    let page = room.join("page.html");
    let written = plan(&["--against", old, "--html", page.to_str().unwrap()]);
    assert!(written.status.success(), "{written:?}");
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("<del>1</del>") && page.contains("<ins>29</ins>"));
    fs::write(old, "{\"system\": ").unwrap();
    let broken = plan(&["--against", old]);
    assert_eq!(broken.status.code(), Some(2));
    let why = String::from_utf8_lossy(&broken.stderr).into_owned();
    assert!(why.contains("old.json: it is no JSON: EOF"), "{why}");
}

/// From a run, by its report, into the TOML; a report of another plan teaches nothing.
#[test]
fn what_a_run_taught_is_written() {
    let room = room("learn");
    let toml = room.join("learn.toml");
    let source = tests::root().join("tests/qemu/systems/its-remap.toml");
    let old = fs::read_to_string(source).unwrap().replace("\"its-remap\"", "\"command-learn\"");
    fs::write(&toml, &old).unwrap();
    let bulkhead = |arguments: &[&str]| {
        let mut command = tests::bulkhead();
        command.arg(arguments[0]).arg(&toml).args(&arguments[1..]).stdin(Stdio::null());
        command.env("PATH", path(&room)).env("SAID", room.join("said")).output().unwrap()
    };
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let plan: serde_json::Value =
        serde_json::from_slice(&bulkhead(&["plan", "--json"]).stdout).unwrap();
    let banner = format!(
        "bulkhead: system command-learn on qemu-virt-gicv4, plan {}, 1 ticks from entry",
        plan["digest"].as_str().unwrap()
    );
    let wish = |event: u32, vintid: u32| {
        format!(
            "bulkhead: its of its: device nvme0 event {event}: vintid = {vintid}, vpe = 0 would \
             need no command at run time"
        )
    };
    let lines = [
        banner,
        "bulkhead: counters".into(),
        wish(0, 8193),
        wish(1, 8194),
        "bulkhead: its of its: event_priority = 0xc0 would need no command at run time".into(),
        "bulkhead: result: pass".into(),
    ];
    fs::write(room.join("said"), lines.map(|line| own_unnumbered(&line)).concat()).unwrap();
    assert!(bulkhead(&["run"]).status.success());

    let new = old
        .replace("events = \"0..1\"\nvpe = [0, 1]\n", "events = \"0..1\"\nvintid = 8193\n")
        .replace("devices = [\"nvme0\"]\n", "devices = [\"nvme0\"]\nevent_priority = 0xc0\n");
    let shown = bulkhead(&["learn"]);
    let diff = said(&shown.stdout);
    for line in ["+event_priority = 0xc0", "-vpe = [0, 1]", "+vintid = 8193"] {
        assert!(diff.lines().any(|has| has == line), "{line}: {diff}");
    }
    assert!(said(&shown.stderr).contains("not written"), "{shown:?}");
    assert_eq!(fs::read_to_string(&toml).unwrap(), old, "it only shows");
    let written = bulkhead(&["learn", "--write"]);
    assert!(said(&written.stdout).ends_with("command-learn: no errors\n"), "{written:?}");
    assert_eq!(fs::read_to_string(&toml).unwrap(), new);

    let again = bulkhead(&["learn"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(said(&again.stderr).contains("run it again"), "{again:?}");
    let none = bulkhead(&["learn", "--report", "nowhere.json"]);
    assert_eq!(none.status.code(), Some(2));
    assert!(said(&none.stderr).contains("there is no nowhere.json"), "{none:?}");
}

/// Each cause is in the page, and a scenario names it; a unit test has the one that no guest makes.
#[test]
fn every_cause_of_a_hang_is_in_its_page_and_tried() {
    let root = tests::root();
    let page = fs::read_to_string(root.join("docs/why.md")).unwrap();
    let scenarios = fs::read_dir(root.join("tests/qemu/scenarios")).unwrap();
    let texts = scenarios.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let all = texts.collect::<String>();
    for cause in bulkhead::why::CAUSES {
        let name = cause.name;
        assert!(page.contains(&format!("\n| `{name}` |")), "{name} is not in docs/why.md");
        let tried = all.contains(&format!("= \"{name}\"")) || name == "hypervisor-stuck";
        assert!(tried, "no scenario is made to hang by {name}");
    }
    let rows = page.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, bulkhead::why::CAUSES.len());
}

#[test]
fn why_wants_a_run() {
    let none =
        tests::bulkhead().args(["why", "hello", "--report", "nowhere.json"]).output().unwrap();
    assert_eq!(none.status.code(), Some(2));
    let said = String::from_utf8_lossy(&none.stderr);
    assert!(said.contains("there is no nowhere.json: `bulkhead run hello` first"), "{said}");
}

#[test]
fn a_result_that_cannot_be_written_is_an_error() {
    for arguments in [["plan", "hello"], ["check", "hello"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = tests::bulkhead().args(arguments).stdout(full).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("cannot write the result: No space left"), "{said}");
    }
}

#[test]
fn a_path_is_relative_to_where_just_is_called() {
    let check = |folder: &str, system: &str| {
        let mut just = Command::new("just");
        just.args(["check", system]).current_dir(tests::root().join(folder));
        just.output().unwrap().status.success()
    };
    assert!(check("boards", "../configs/hello.toml"));
    assert!(check("boards", "hello"));
    assert!(!check("boards", "configs/hello.toml"));
}

#[test]
fn the_set_up_needs_little_environment() {
    for path in [None, Some("/nonexistent")] {
        let mut command = Command::new("/bin/bash");
        command.args(["setup.sh", "--check"]).current_dir(tests::root()).env_clear();
        let output = command.envs(path.map(|path| ("PATH", path))).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
        assert!(!said.contains("unbound") && !said.contains("not found"), "{said}");
        assert!(!String::from_utf8_lossy(&output.stdout).contains("missing: rust"), "{output:?}");
    }
}

/// A terminal's settings before a run, and after a signal has ended it.
fn after(signal: Signal) -> (Termios, Termios) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let slave = File::options().read(true).write(true).open(name).unwrap();
    let before = tcgetattr(&slave).unwrap();
    drain(master);
    let room = room(&format!("pty-{}", signal.as_raw()));
    let program = tests::bulkhead();
    let pid = room.join("pid");
    let _ = fs::remove_file(&pid);
    // A shell leads the session, as at a prompt: the terminal stays when the run is gone.
    let mut command = Command::new("setsid");
    command.args([
        "-c",
        "sh",
        "-c",
        "sh -c 'echo $$ >\"$PID\"; exec \"$0\" run hello' \"$0\"; sleep 200",
    ]);
    command.arg(program.get_program()).current_dir(tests::root());
    command.env("PATH", path(&room)).env("STAYS", "200").env("PID", &pid);
    let shown = || Stdio::from(slave.try_clone().unwrap());
    let mut shell = command.stdin(shown()).stdout(shown()).stderr(shown()).spawn().unwrap();
    let is_raw = |now: &Termios| !now.local_modes.contains(LocalModes::ICANON | LocalModes::ECHO);
    let raw = waited(BUILD, || is_raw(&tcgetattr(&slave).unwrap()));
    assert!(raw, "it has not begun");
    let pid = fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    waited(Duration::from_secs(20), || !is_raw(&tcgetattr(&slave).unwrap()));
    let after = tcgetattr(&slave).unwrap();
    shell.kill().unwrap();
    shell.wait().unwrap();
    (before, after)
}

/// Somebody reads what is shown, or the writers wait.
fn drain(master: OwnedFd) {
    let mut screen = File::from(master);
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(1..) = screen.read(&mut bytes) {}
    });
}

fn waited(most: Duration, done: impl Fn() -> bool) -> bool {
    let end = Instant::now() + most;
    while !done() {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

#[test]
fn a_terminal_is_put_back_whatever_ends_the_run() {
    for signal in [Signal::TERM, Signal::HUP, Signal::KILL] {
        let (before, after) = after(signal);
        assert_eq!(before.local_modes, after.local_modes, "{signal:?}");
        assert_eq!(before.output_modes, after.output_modes, "{signal:?}");
        assert_eq!(before.input_modes, after.input_modes, "{signal:?}");
    }
}

/// What the command says to these arguments, from the tree's root.
fn bulkhead(arguments: &[&str]) -> Output {
    tests::bulkhead().args(arguments).current_dir(tests::root()).output().unwrap()
}

/// Each shell gets a script that names the commands, and each command a manual page.
#[test]
fn shells_and_man_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = bulkhead(&["completions", shell]);
        assert!(script.status.success(), "{shell}");
        let script = String::from_utf8(script.stdout).unwrap();
        assert!(script.contains("import") && script.contains("message-format"), "{shell}");
    }
    let pages = room("man").join("man1");
    assert!(bulkhead(&["man", pages.to_str().unwrap()]).status.success());
    let page = fs::read_to_string(pages.join("bulkhead-run.1")).unwrap();
    assert!(page.contains("Exit status"), "{page}");
    let into_a_file = pages.join("bulkhead.1/more");
    assert_eq!(bulkhead(&["man", into_a_file.to_str().unwrap()]).status.code(), Some(1));
}

/// Diagnostics for a program are on the standard output, whole, whatever the exit status.
#[test]
fn diagnostics_in_each_format() {
    let bad = "tests/bad/E002-key-of-other-kind.toml";
    let json = bulkhead(&["check", "--message-format", "json", bad]);
    assert_eq!(json.status.code(), Some(1));
    assert_eq!(json.stdout, bulkhead(&["check", "--json", bad]).stdout);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let sarif = bulkhead(&["check", "--message-format", "sarif", bad]);
    assert_eq!((sarif.status.code(), sarif.stderr.is_empty()), (Some(1), true));
    let sarif: serde_json::Value = serde_json::from_slice(&sarif.stdout).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), json.as_array().unwrap().len());
    assert_eq!(results[0]["ruleId"], json[0]["id"]);
    let good = bulkhead(&["check", "--message-format", "sarif", "hello"]);
    let good: serde_json::Value = serde_json::from_slice(&good.stdout).unwrap();
    assert_eq!(good["runs"][0]["results"], serde_json::json!([]));
}

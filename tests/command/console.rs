// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `bulkhead console` over each kind of line. A test is the board at the other end.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::time::Instant;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use super::{BUILD, own, own_unnumbered, room};

/// The command, listening.
struct Listener {
    child: Child,
    keys: ChildStdin,
    said: BufReader<std::process::ChildStderr>,
}

impl Listener {
    /// Started, and the line is open.
    fn on(line: &str, arguments: &[&str]) -> Self {
        let mut command = tests::bulkhead();
        command.arg("console").arg(line).args(arguments);
        let mut out = Self::of(&mut command);
        let mut first = String::new();
        out.said.read_line(&mut first).unwrap();
        assert!(first.contains("listening to "), "{first}");
        out
    }

    fn of(command: &mut Command) -> Self {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let keys = child.stdin.take().unwrap();
        let said = BufReader::new(child.stderr.take().unwrap());
        Self { child, keys, said }
    }

    fn end(mut self) -> Output {
        let mut output = self.child.wait_with_output().unwrap();
        self.said.read_to_end(&mut output.stderr).unwrap();
        output
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A pseudo-terminal: the board's end, and the name of the other.
fn terminal() -> (File, String) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    (File::from(master), name)
}

/// What a VM says, and a pass.
fn pass() -> Vec<u8> {
    [b"U-Boot\r\n\x18\x02[a] hi\r\n".to_vec(), own("bulkhead: result: pass")].concat()
}

#[test]
fn a_serial_device_is_judged_and_typed_on() {
    let (mut board, name) = terminal();
    let kept = File::options().read(true).write(true).open(&name).unwrap();
    let before = tcgetattr(&kept).unwrap();
    let mut listener = Listener::on(&name, &["--baud", "921600"]);
    let now = tcgetattr(&kept).unwrap();
    assert_eq!((now.output_speed(), now.input_speed()), (921_600, 921_600));
    assert!(!now.local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO));
    listener.keys.write_all(b"typed\r").unwrap();
    let mut typed = [0; 6];
    board.read_exact(&mut typed).unwrap();
    assert_eq!(&typed, b"typed\r");
    board.write_all(&pass()).unwrap();
    let output = listener.end();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(text(&output.stdout), "U-Boot\n[a] hi\nbulkhead: result: pass\n");
    let after = tcgetattr(&kept).unwrap();
    assert_eq!(after.local_modes, before.local_modes, "its settings are put back");
    assert_eq!(after.output_speed(), before.output_speed());
}

#[test]
fn an_unplugged_device_is_one_line() {
    let (mut board, name) = terminal();
    let listener = Listener::on(&name, &[]);
    board.write_all(b"\x18\x02[a] hi\r\n").unwrap();
    drop(board);
    let output = listener.end();
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    let said = text(&output.stderr);
    assert!(said.contains(&format!("{name} was closed or unplugged without a result")), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn what_cannot_be_opened_is_one_line() {
    let room = room("console-none");
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let cases = [
        ("/dev/ttyUSB-nowhere", 1, "cannot open /dev/ttyUSB-nowhere: it is not there"),
        ("/dev/null", 1, "cannot open /dev/null: it is neither a serial device nor"),
        (free.as_str(), 1, "Connection refused"),
        ("tcp:rack", 2, "\"rack\" is no HOST:PORT, as in rack:4001"),
    ];
    for (line, status, why) in cases {
        let output = tests::bulkhead().args(["console", line]).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{line}: {said}");
        assert!(said.contains(why) && said.lines().count() == 1, "{line}: {said}");
    }
    let log = room.join("nowhere/log");
    let file = room.join("said");
    fs::write(&file, pass()).unwrap();
    let mut command = tests::bulkhead();
    let output = command.arg("console").arg(&file).arg("--log").arg(&log).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn a_terminal_server_speaks_telnet() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = server.local_addr().unwrap().to_string();
    let mut listener = Listener::on(&place, &[]);
    let (mut board, _) = server.accept().unwrap();
    // IAC WILL ECHO, and a doubled 0xff within a VM's line.
    board.write_all(b"\xff\xfb\x01\x18\x02[a] \xff\xff\r\n").unwrap();
    listener.keys.write_all(b"k").unwrap();
    let mut answer = [0; 4];
    board.read_exact(&mut answer).unwrap();
    let mut sorted = answer;
    sorted.sort_unstable();
    assert_eq!(sorted, [1, b'k', 0xfd, 0xff], "DO ECHO and the key: {answer:?}");
    board.write_all(&own("bulkhead: result: fail")).unwrap();
    let output = listener.end();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert_eq!(output.stdout, b"[a] \xff\nbulkhead: result: fail\n");
}

#[test]
fn bytes_of_a_port_or_a_socket_are_as_they_are() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let listener = Listener::on(&format!("tcp:{}", server.local_addr().unwrap()), &[]);
    let (mut board, _) = server.accept().unwrap();
    board.write_all(b"\x18\x02[a] \xff\xfb\x05\r\n").unwrap();
    drop(board);
    let output = listener.end();
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    assert_eq!(output.stdout, b"[a] \xff\xfb\x05\n");
    assert!(text(&output.stderr).contains("was closed without a result"), "{output:?}");

    let socket = room("console-socket").join("serial");
    let _ = fs::remove_file(&socket);
    let server = UnixListener::bind(&socket).unwrap();
    let listener = Listener::on(socket.to_str().unwrap(), &[]);
    let (mut board, _) = server.accept().unwrap();
    board.write_all(&pass()).unwrap();
    assert_eq!(listener.end().status.code(), Some(0));
}

#[test]
fn a_file_a_pipe_or_the_input_is_listened_to() {
    let room = room("console-file");
    let (said, log) = (room.join("said"), room.join("log"));
    let words = own("bulkhead: stopped: x");
    fs::write(&said, &words).unwrap();
    let listener = Listener::on(said.to_str().unwrap(), &["--log", log.to_str().unwrap()]);
    assert_eq!(listener.end().status.code(), Some(6));
    assert_eq!(fs::read(log).unwrap(), words);

    let pipe = room.join("pipe");
    let _ = fs::remove_file(&pipe);
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let path = pipe.clone();
    let board = std::thread::spawn(move || fs::write(path, pass()).unwrap());
    assert_eq!(Listener::on(pipe.to_str().unwrap(), &[]).end().status.code(), Some(0));
    board.join().unwrap();

    let mut listener = Listener::of(tests::bulkhead().args(["console", "-"]));
    listener.keys.write_all(&pass()).unwrap();
    assert_eq!(listener.end().status.code(), Some(0));
}

#[test]
fn a_result_ends_it_unless_it_stays() {
    let (mut board, name) = terminal();
    let started = Instant::now();
    let mut listener = Listener::on(&name, &["--stay"]);
    board.write_all(&own("bulkhead: stopped: x")).unwrap();
    // The board starts again.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    board.write_all(b"\x18\x02[a] again\r\n").unwrap();
    let mut shown = BufReader::new(listener.child.stdout.take().unwrap()).lines();
    assert!(shown.any(|line| line.unwrap() == "[a] again"));
    listener.keys.write_all(b"\x1dq").unwrap();
    assert_eq!(listener.end().status.code(), Some(6));
    assert!(started.elapsed() < BUILD);
}

#[test]
fn a_silent_board_is_asked_where_it_is() {
    let (mut board, name) = terminal();
    let listener = Listener::on(&name, &["--timeout", "1"]);
    let mut asked = [0; 4];
    board.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"\x1ds\x1dc");
    let output = listener.end();
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    let said = text(&output.stderr);
    assert!(said.contains("console: not one byte has come"), "{said}");
    assert!(said.contains("no result within 1 s"), "{said}");
}

#[test]
fn a_board_that_runs_another_plan_does_not_pass() {
    let plan = tests::bulkhead().args(["plan", "hello", "--json"]).output().unwrap();
    let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).unwrap();
    let digest = plan["digest"].as_str().unwrap();
    for (digest, status) in [(digest, 0), ("0x1234", 3)] {
        let banner = format!("bulkhead: system hello on x, plan {digest}, 1 ticks from entry");
        let said = [banner, "bulkhead: result: pass".into()].map(|line| own_unnumbered(&line));
        let file = room("console-plan").join("said");
        fs::write(&file, said.concat()).unwrap();
        let mut command = tests::bulkhead();
        command.args(["console", "--system", "hello"]).arg(&file);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{output:?}");
        let said = text(&output.stderr);
        assert_eq!(said.contains("the board runs plan 0x1234, the image here has"), status == 3);
    }
    assert!(Path::new(&tests::root().join("target/bulkhead/reports/hello.json")).is_file());
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a board's console comes over: a serial device, a network port, a pipe, a file.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags, fcntl_setfl, open};
use rustix::io::Errno;
use rustix::termios::{
    ControlModes, OptionalActions, Termios, ioctl_tiocexcl, tcgetattr, tcsetattr,
};

use super::{RunError, telnet};

/// How long a network port may take to answer.
const CONNECT: Duration = Duration::from_secs(10);

/// Which line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// The standard input; nothing can be sent.
    Standard,
    /// A serial device, a pseudo-terminal, a socket, a pipe or a file. Into the last two nothing is
    /// sent.
    Path(PathBuf),
    /// A terminal server that may speak telnet (RFC 854).
    Telnet(String),
    /// Bytes as they are.
    Tcp(String),
}

impl Line {
    /// As it is written on a command line: `-`, a path, HOST:PORT, `telnet:HOST:PORT` or
    /// `tcp:HOST:PORT`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let port = |text: &str| {
            let (host, port) = text.rsplit_once(':')?;
            (!host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok()).then_some(())
        };
        let network = |line: fn(String) -> Self, rest: &str| match port(rest) {
            Some(()) => Ok(line(rest.to_owned())),
            None => Err(format!("\"{rest}\" is no HOST:PORT, as in rack:4001")),
        };
        match text.split_once(':') {
            _ if text == "-" => Ok(Self::Standard),
            _ if Path::new(text).exists() => Ok(Self::Path(text.into())),
            Some(("telnet", rest)) => network(Self::Telnet, rest),
            Some(("tcp", rest)) => network(Self::Tcp, rest),
            _ if port(text).is_some() => Ok(Self::Telnet(text.to_owned())),
            _ => Ok(Self::Path(text.into())),
        }
    }

    /// Opens it; `baud` is a serial device's.
    pub fn open(&self, baud: u32) -> Result<Ends, RunError> {
        self.ends(baud).map_err(|error| RunError::Line { line: self.to_string(), error })
    }

    fn ends(&self, baud: u32) -> io::Result<Ends> {
        match self {
            Self::Standard => Ok(Ends::listening(io::stdin())),
            Self::Path(path) => open_path(path, baud),
            Self::Tcp(place) => {
                let stream = connect(place)?;
                Ok(Ends::both(stream.try_clone()?, stream))
            }
            Self::Telnet(place) => {
                let (read, write) = telnet::ends(connect(place)?)?;
                Ok(Ends::both(read, write))
            }
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standard => f.write_str("the standard input"),
            Self::Path(path) => path.display().fmt(f),
            Self::Telnet(place) | Self::Tcp(place) => f.write_str(place),
        }
    }
}

/// An open line.
pub struct Ends {
    pub read: Box<dyn Read + Send>,
    /// None: nothing can be sent.
    pub write: Option<Box<dyn Write + Send>>,
    /// Puts a serial device's settings back when it is dropped.
    pub settings: Option<Settings>,
}

impl Ends {
    fn listening(read: impl Read + Send + 'static) -> Self {
        Self { read: Box::new(read), write: None, settings: None }
    }

    fn both(read: impl Read + Send + 'static, write: impl Write + Send + 'static) -> Self {
        Self { read: Box::new(read), write: Some(Box::new(write)), settings: None }
    }
}

/// A serial device's settings before it was ours.
pub struct Settings {
    device: File,
    before: Termios,
}

impl Drop for Settings {
    fn drop(&mut self) {
        // A device that is gone has no settings.
        let _ = tcsetattr(&self.device, OptionalActions::Now, &self.before);
    }
}

fn connect(place: &str) -> io::Result<TcpStream> {
    let mut why = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in place.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => why = error,
        }
    }
    Err(why)
}

fn open_path(path: &Path, baud: u32) -> io::Result<Ends> {
    let kind = match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(io::Error::other("it is not there"));
        }
        found => found?.file_type(),
    };
    if kind.is_socket() {
        let stream = UnixStream::connect(path)?;
        return Ok(Ends::both(stream.try_clone()?, stream));
    }
    if !kind.is_char_device() {
        return Ok(Ends::listening(File::open(path)?));
    }
    // A serial device waits for its carrier otherwise.
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let device = match open(path, flags, Mode::empty()) {
        Err(Errno::BUSY) => return Err(io::Error::other("another program has it")),
        opened => File::from(opened?),
    };
    fcntl_setfl(&device, OFlags::empty())?;
    let before = tcgetattr(&device)
        .map_err(|_| io::Error::other("it is neither a serial device nor a pipe or file"))?;
    // Refused where the device has no such thing.
    let _ = ioctl_tiocexcl(&device);
    let mut raw = before.clone();
    raw.make_raw();
    // No modem: the carrier means nothing, and DTR stays when we leave, which resets some boards.
    raw.control_modes |= ControlModes::CLOCAL | ControlModes::CREAD;
    raw.control_modes -= ControlModes::HUPCL | ControlModes::CRTSCTS;
    raw.set_speed(baud)?;
    tcsetattr(&device, OptionalActions::Now, &raw)?;
    let settings = Settings { device: device.try_clone()?, before };
    let ends = Ends::both(device.try_clone()?, device);
    Ok(Ends { settings: Some(settings), ..ends })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_its_name_looks_like() {
        let parse = |text| Line::parse(text).unwrap();
        assert_eq!(parse("-"), Line::Standard);
        assert_eq!(parse("/dev/ttyUSB7"), Line::Path("/dev/ttyUSB7".into()));
        assert_eq!(parse("rack:4001"), Line::Telnet("rack:4001".into()));
        assert_eq!(parse("[::1]:4001"), Line::Telnet("[::1]:4001".into()));
        assert_eq!(parse("telnet:rack:4001"), Line::Telnet("rack:4001".into()));
        assert_eq!(parse("tcp:rack:4001"), Line::Tcp("rack:4001".into()));
        assert_eq!(parse("/dev/serial/by-id/a:1"), Line::Path("/dev/serial/by-id/a:1".into()));
        assert!(Line::parse("tcp:rack").is_err() && Line::parse("telnet:rack:99999").is_err());
    }
}

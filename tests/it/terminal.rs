//! A terminal of the kernel with somebody at it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::mpsc;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use tokio::process::Child;

use crate::stand::{PATIENCE, Stand};

fn pass_on(read: &mut File, to: &mpsc::Sender<Vec<u8>>) {
    let mut piece = [0; 4096];
    while let Ok(count @ 1..) = read.read(&mut piece) {
        drop(to.send(piece[..count].to_vec()));
    }
}

/// A terminal with somebody at it.
pub(crate) struct Terminal {
    master: File,
    pub(crate) slave: OwnedFd,
    shown: String,
    pieces: mpsc::Receiver<Vec<u8>>,
}

impl Terminal {
    pub(crate) fn open(columns: u16, rows: u16) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = ptsname(&master, Vec::new()).unwrap();
        let slave = rustix::fs::open(&path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let master = File::from(master);
        let (sender, pieces) = mpsc::channel();
        let mut read = master.try_clone().unwrap();
        std::thread::spawn(move || pass_on(&mut read, &sender));
        let terminal = Self { master, slave, shown: String::new(), pieces };
        terminal.size(columns, rows);
        terminal
    }

    pub(crate) fn size(&self, columns: u16, rows: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.slave, size).unwrap();
    }

    /// Whether keys are passed on as they are.
    pub(crate) fn is_raw(&self) -> bool {
        !tcgetattr(&self.slave).unwrap().local_modes.contains(LocalModes::ICANON)
    }

    pub(crate) fn types(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// What is shown, until it holds this text; with `again` typed between two looks.
    pub(crate) fn shows(&mut self, text: &str, again: &str) {
        let begun = tokio::time::Instant::now();
        while !self.shown.contains(text) {
            assert!(begun.elapsed() < PATIENCE, "{text} is not shown: {:?}", self.shown);
            match self.pieces.recv_timeout(std::time::Duration::from_millis(500)) {
                Ok(piece) => self.shown.push_str(&String::from_utf8_lossy(&piece)),
                Err(_) => self.types(again),
            }
        }
    }

    pub(crate) fn command(&self, stand: &Stand, args: &[&str]) -> Child {
        let end = || Stdio::from(self.slave.try_clone().unwrap());
        stand.command(args).stdin(end()).stdout(end()).stderr(end()).spawn().unwrap()
    }
}

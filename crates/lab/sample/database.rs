
// The second part of `app.rs`, compiled with it as one file: what the sample does with a PostgreSQL that it reaches by
// name, over one connection for each container, without a password, by simple queries.
mod database {
    use std::io::{self, Read, Write};
    use std::net::{TcpStream, ToSocketAddrs};
    use std::process::ExitCode;
    use std::sync::{Mutex, PoisonError};
    use std::thread;
    use std::time::Duration;

    use super::{env, settings};

    /// Version 3.0 of the protocol.
    const PROTOCOL: i32 = 196_608;
    /// For a connection, and for one answer.
    const ANSWER: Duration = Duration::from_secs(2);
    /// Longest message that is taken, bytes: answers are numbers.
    const MAX_MESSAGE: usize = 64 * 1024;
    /// Between two pieces of work.
    const PACE: Duration = Duration::from_millis(100);

    static CONNECTION: Mutex<Option<TcpStream>> = Mutex::new(None);

    /// Whether the database answers; a sample without one has nothing to ask.
    pub(crate) fn answers() -> bool {
        let Some(at) = env("DATABASE") else { return true };
        let asked = query(&at, "select 1");
        if let Err(error) = &asked {
            eprintln!("sample {}: {at}: {error}", settings().version);
        }
        asked.is_ok()
    }

    /// What the argument `work` makes of the program: it writes its version into the database, again and again.
    pub(crate) fn work() -> ExitCode {
        let version = &settings().version;
        let Some(at) = env("DATABASE").filter(|_| env("WORKER_EXITS").is_none()) else {
            eprintln!("sample {version}: a worker without work, giving up");
            return ExitCode::from(5);
        };
        println!("sample {version}: works with {at}");
        loop {
            let done = query(&at, "create table if not exists work (version text)")
                .and_then(|()| query(&at, &format!("insert into work values ('{version}')")));
            if let Err(error) = done {
                eprintln!("sample {version}: {at}: {error}");
            }
            thread::sleep(PACE);
        }
    }

    /// Asks over the connection that is there; one that has ended is opened again, once.
    fn query(at: &str, text: &str) -> io::Result<()> {
        let mut held = CONNECTION.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stream) = held.as_mut()
            && ask(stream, text).is_ok()
        {
            return Ok(());
        }
        *held = None;
        let mut stream = open(at)?;
        ask(&mut stream, text)?;
        *held = Some(stream);
        Ok(())
    }

    fn open(at: &str) -> io::Result<TcpStream> {
        let mut last = io::Error::other("the name has no address");
        for address in at.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, ANSWER) {
                Ok(stream) => return greet(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn greet(mut stream: TcpStream) -> io::Result<TcpStream> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.set_write_timeout(Some(ANSWER))?;
        let mut hello = PROTOCOL.to_be_bytes().to_vec();
        hello.extend_from_slice(b"user\0postgres\0database\0postgres\0\0");
        send(&mut stream, None, &hello)?;
        until_ready(&mut stream)?;
        Ok(stream)
    }

    fn ask(stream: &mut TcpStream, text: &str) -> io::Result<()> {
        send(stream, Some(b'Q'), format!("{text}\0").as_bytes())?;
        until_ready(stream)
    }

    fn send(stream: &mut TcpStream, kind: Option<u8>, body: &[u8]) -> io::Result<()> {
        let mut message: Vec<u8> = kind.into_iter().collect();
        message.extend_from_slice(&((body.len() + 4) as i32).to_be_bytes());
        message.extend_from_slice(body);
        stream.write_all(&message)
    }

    /// Reads to the end of an answer. Two workers may make the table at the same time: the error of one of them says
    /// that it is there.
    fn until_ready(stream: &mut TcpStream) -> io::Result<()> {
        let mut refused = None;
        loop {
            let mut head = [0; 5];
            stream.read_exact(&mut head)?;
            let length = i32::from_be_bytes([head[1], head[2], head[3], head[4]]);
            let length = usize::try_from(length).unwrap_or(0).saturating_sub(4);
            if length > MAX_MESSAGE {
                return Err(io::Error::other("a message that is too long"));
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body)?;
            match head[0] {
                b'Z' => return refused.map_or(Ok(()), Err),
                b'E' => {
                    let text = String::from_utf8_lossy(&body).replace('\0', " ");
                    refused = (!text.contains("pg_type_typname_nsp_index")).then(|| io::Error::other(text));
                }
                _ => {}
            }
        }
    }
}

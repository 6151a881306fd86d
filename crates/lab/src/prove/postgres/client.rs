//! A client of PostgreSQL, as far as the proof needs one: no password, simple queries.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::Result;

/// Version 3.0 of the protocol.
const PROTOCOL: i32 = 196_608;
/// For a connection and a query: a database that recovers answers at once that it does.
const ANSWER: Duration = Duration::from_secs(2);
/// Largest message that is taken, bytes: rows of this proof are numbers.
const MAX_MESSAGE: usize = 1024 * 1024;

/// Connects, asks once, and gives the first column of every row.
pub(crate) async fn ask(at: SocketAddr, query: &str) -> Result<Vec<String>> {
    let answered = timeout(ANSWER, async {
        let mut stream = TcpStream::connect(at).await?;
        let mut hello = PROTOCOL.to_be_bytes().to_vec();
        hello.extend(b"user\0postgres\0database\0postgres\0\0");
        send(&mut stream, None, &hello).await?;
        until_ready(&mut stream).await?;
        send(&mut stream, Some(b'Q'), format!("{query}\0").as_bytes()).await?;
        until_ready(&mut stream).await
    });
    answered.await.map_err(|_| format!("no answer within {ANSWER:?}"))?
}

async fn send(stream: &mut TcpStream, kind: Option<u8>, body: &[u8]) -> Result {
    let mut message: Vec<u8> = kind.into_iter().collect();
    message.extend(i32::try_from(body.len() + 4)?.to_be_bytes());
    message.extend(body);
    Ok(stream.write_all(&message).await?)
}

/// Reads to the end of an answer: rows, or an error.
async fn until_ready(stream: &mut TcpStream) -> Result<Vec<String>> {
    let mut rows = Vec::new();
    loop {
        let kind = stream.read_u8().await?;
        let length = usize::try_from(stream.read_i32().await?)?.saturating_sub(4);
        if length > MAX_MESSAGE {
            return Err("a message that is too long".into());
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        match kind {
            b'Z' => return Ok(rows),
            b'E' => return Err(String::from_utf8_lossy(&body).replace('\0', " ").into()),
            b'D' => rows.extend(first_column(&body)),
            _ => {}
        }
    }
}

/// A row: the number of columns, then the length and the bytes of each.
fn first_column(row: &[u8]) -> Option<String> {
    let length: [u8; 4] = row.get(2..6)?.try_into().ok()?;
    let end = 6 + usize::try_from(i32::from_be_bytes(length)).ok()?;
    Some(String::from_utf8_lossy(row.get(6..end)?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_column_of_a_row_is_read() {
        assert_eq!(first_column(b"\0\x01\0\0\0\x0242"), Some("42".to_owned()));
        assert_eq!(first_column(b"\0\x01\xff\xff\xff\xff"), None);
        assert_eq!(first_column(b"\0\x01\0\0\0\x09a"), None);
    }
}

//! What goes over a connection to a person's program: one byte of kind, four of length (big endian), then the payload.

use std::io;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The protocol that a connection is upgraded to.
pub const PROTOCOL: &str = "cutover-errand";
/// Bytes of a payload at most: more of a stream is another frame.
pub const MAX_PAYLOAD: usize = 64 * 1024;

/// One frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame {
    /// To the program: what it reads next.
    Input(Bytes),
    /// To the program: it has read everything.
    InputEnd,
    /// To the program: its terminal has so many columns and rows.
    Resize(u16, u16),
    /// Either way: somebody is there. Each side sends one at least every 15 s.
    Ping,
    /// From the program: its output, or its terminal's.
    Out(Bytes),
    /// From the program: its errors.
    Err(Bytes),
    /// From the engine: a line for the person, before the program begins.
    Note(String),
    /// From the engine, the last one: the program has ended with this code.
    Exit(i32),
    /// From the engine, the last one: how it ended is not known; why.
    Lost(String),
}

impl Frame {
    fn parts(&self) -> (u8, Bytes) {
        match self {
            Self::Input(bytes) => (0, bytes.clone()),
            Self::InputEnd => (1, Bytes::new()),
            Self::Resize(columns, rows) => (2, [columns.to_be_bytes(), rows.to_be_bytes()].concat().into()),
            Self::Ping => (3, Bytes::new()),
            Self::Out(bytes) => (16, bytes.clone()),
            Self::Err(bytes) => (17, bytes.clone()),
            Self::Note(text) => (18, text.clone().into()),
            Self::Exit(code) => (19, code.to_be_bytes().to_vec().into()),
            Self::Lost(text) => (20, text.clone().into()),
        }
    }

    fn of(kind: u8, payload: Bytes) -> Option<Self> {
        let text = |payload: &Bytes| String::from_utf8_lossy(payload).into_owned();
        Some(match kind {
            0 => Self::Input(payload),
            1 => Self::InputEnd,
            2 => {
                let [a, b, c, d] = <[u8; 4]>::try_from(payload.as_ref()).ok()?;
                Self::Resize(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
            }
            3 => Self::Ping,
            16 => Self::Out(payload),
            17 => Self::Err(payload),
            18 => Self::Note(text(&payload)),
            19 => Self::Exit(i32::from_be_bytes(payload.as_ref().try_into().ok()?)),
            20 => Self::Lost(text(&payload)),
            _ => return None,
        })
    }
}

/// The next frame; `None` where the connection ends between two. Not to be dropped half way and called again.
///
/// # Errors
/// The connection breaks, or what comes is no frame.
pub async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Frame>> {
    let mut kind = [0];
    if from.read(&mut kind).await? == 0 {
        return Ok(None);
    }
    let length = usize::try_from(from.read_u32().await?).unwrap_or(usize::MAX);
    if length > MAX_PAYLOAD {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame is too long"));
    }
    let mut payload = vec![0; length];
    from.read_exact(&mut payload).await?;
    let [kind] = kind;
    let frame = Frame::of(kind, payload.into());
    frame.map(Some).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a frame of an unknown kind"))
}

/// Sends a frame; one that is longer than [`MAX_PAYLOAD`] is for the caller to cut.
///
/// # Errors
/// The connection breaks.
pub async fn write(to: &mut (impl AsyncWrite + Unpin), frame: &Frame) -> io::Result<()> {
    let (kind, payload) = frame.parts();
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let head = [&[kind][..], &length.to_be_bytes()].concat();
    to.write_all(&head).await?;
    to.write_all(&payload).await?;
    to.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_come_as_they_were_sent_and_nothing_else_is_one() {
        let all = [
            Frame::Input(Bytes::from_static(b"a\0b")),
            Frame::InputEnd,
            Frame::Resize(120, 40),
            Frame::Ping,
            Frame::Out(Bytes::from(vec![7; MAX_PAYLOAD])),
            Frame::Err(Bytes::new()),
            Frame::Note("without data".into()),
            Frame::Exit(-1),
            Frame::Lost("why".into()),
        ];
        let mut sent = Vec::new();
        for frame in &all {
            write(&mut sent, frame).await.unwrap();
        }
        let mut rest = sent.as_slice();
        for frame in all {
            assert_eq!(read(&mut rest).await.unwrap(), Some(frame));
        }
        assert_eq!(read(&mut rest).await.unwrap(), None);
        for bad in [&[9, 0, 0, 0, 0][..], &[0, 1, 0, 0, 1], &[2, 0, 0, 0, 1, 7], &[0, 0, 0, 0, 9, 1], &[19, 0, 0, 0, 0]]
        {
            assert!(read(&mut &*bad).await.is_err(), "{bad:?}");
        }
    }
}

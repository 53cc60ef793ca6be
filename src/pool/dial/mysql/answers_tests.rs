use std::collections::VecDeque;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

const OK: &[u8] = b"\0\0\0\x02\0\0\0";
const END: &[u8] = b"\xfe\0\0\x02\0\0\0";
const OLD_END: &[u8] = b"\xfe\0\0\x02\0";
const ERROR: &[u8] = b"\xff\x28\x04#42000no";
const COLUMN: &[u8] = b"\x03def\0\0\0\x01a\0\x0c\x2d\0\0\x01\0\0\xfd\0\0\0\0\0";

/// Packets that follow one another.
fn said(payloads: &[&[u8]]) -> Vec<u8> {
    let packets = (1..).zip(payloads).map(|(number, payload)| framed(payload, number).to_vec());
    packets.collect::<Vec<_>>().concat()
}

/// A server that says `pieces` one at a time, and hangs up.
struct Server(VecDeque<Vec<u8>>);

impl AsyncRead for Server {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(mut piece) = self.0.pop_front() {
            let rest = piece.split_off(piece.len().min(buf.remaining()));
            buf.put_slice(&piece);
            if !rest.is_empty() {
                self.0.push_front(rest);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Server {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What the driver hears of `answer` to `command` (none: unasked), which comes `size` bytes at a time; and
/// whether it is told no more.
async fn heard(command: &[u8], answer: &[u8], size: usize, old_ends: bool) -> (Vec<u8>, bool) {
    let pieces = answer.chunks(size.max(1)).map(<[u8]>::to_vec).collect();
    let mut server = Bounded::new(Server(pieces), old_ends);
    if !command.is_empty() {
        server.write_all(&framed(command, 0)).await.unwrap();
    }
    let mut all = Vec::new();
    let over = server.read_to_end(&mut all).await.is_err();
    (all, over)
}

/// A command, whether the server is an old one, and its packets.
type Passing<'p> = (&'p [u8], bool, Vec<&'p [u8]>);
/// What is wrong, a command, and the packets.
type Refused<'p> = (&'p str, &'p [u8], Vec<&'p [u8]>);

#[tokio::test]
async fn what_servers_say_passes_as_it_is_however_it_comes() {
    let long = vec![b'x'; 100_000];
    let row = [&b"\0\0\xfd\xa0\x86\x01"[..], &long].concat();
    let prepared: &[u8] = b"\0\x01\0\0\0\x02\0\x01\0\0\0\0";
    let table: Vec<Passing<'_>> = vec![
        (b"\x0e", false, vec![OK]),
        (b"\x03SET x", false, vec![ERROR]),
        (b"\x17...", false, vec![b"\x02", COLUMN, COLUMN, b"\0\0\x01x\x01y", &row, END]),
        (b"\x17...", true, vec![b"\x01", COLUMN, OLD_END, &row, OLD_END]),
        // Within rows an error is the last word.
        (b"\x17...", false, vec![b"\x01", COLUMN, b"\0\0\x01x", ERROR]),
        (b"\x16SELECT", false, vec![prepared, COLUMN, COLUMN, COLUMN]),
        (b"\x16SELECT", true, vec![prepared, COLUMN, OLD_END, COLUMN, COLUMN, OLD_END]),
        (b"\x16SET x", false, vec![b"\0\x01\0\0\0\0\0\0\0\0\0\0"]),
        (b"\x16INSERT", false, vec![b"\0\x01\0\0\0\0\0\x02\0\0\0\0", COLUMN, COLUMN]),
        // The server ends an idle session.
        (b"", false, vec![b"\xff\xbf\x0f#HY000idle for too long"]),
    ];
    for (command, old_ends, payloads) in table {
        let answer = said(&payloads);
        for size in [1, 2, 3, 5, 7, 64, 16 * 1024, answer.len()] {
            let (all, over) = heard(command, &answer, size, old_ends).await;
            assert!(all == answer && !over, "{command:?} in pieces of {size}: {}", all.len());
        }
    }
}

#[tokio::test]
async fn what_no_server_of_good_faith_says_is_not_passed_on() {
    let many = vec![b'y'; OTHER + 1];
    let definitions: Vec<&[u8]> =
        std::iter::once(&b"\xfc\0\x10"[..]).chain([&many[..OTHER]; 100]).collect();
    let table: Vec<Refused<'_>> = vec![
        ("columns without end", b"\x03", vec![b"\xfe\0\0\0\0\x10\0\0\0"]),
        ("and something behind", b"\x17", vec![b"\xfe\0\0\0\0\x10\0\0\0and so on"]),
        ("16 million columns", b"\x17", vec![b"\xfd\xff\xff\xff"]),
        ("4097 columns", b"\x17", vec![b"\xfc\x01\x10"]),
        ("no column", b"\x17", vec![b"\xfc\0\0"]),
        ("a count cut short", b"\x17", vec![b"\xfe\0"]),
        ("a file of the gateway", b"\x03", vec![b"\xfb/etc/passwd"]),
        ("a long definition", b"\x17", vec![b"\x01", &many]),
        ("long definitions together", b"\x17", definitions),
        ("columns of a statement", b"\x16", vec![b"\0\x01\0\0\0\xff\xff\0\0\0\0\0"]),
        ("no statement", b"\x16", vec![b"\x01\x01\0\0\0\0\0\0\0\0\0\0"]),
        ("a further answer after an OK", b"\x0e", vec![b"\0\0\0\x0a\0\0\0"]),
        ("after rows", b"\x17", vec![b"\x01", COLUMN, b"\xfe\0\0\x0a\0\0\0"]),
        ("an OK cut short", b"\x0e", vec![b"\0\0\0"]),
        ("an empty packet", b"\x17", vec![b""]),
        ("unasked", b"", vec![OK]),
        ("more than asked for", b"\x0e", vec![OK, b"\xfe\0\0\0\0\x10\0\0\0"]),
    ];
    for (what, command, payloads) in table {
        let (last, before) = payloads.split_last().unwrap();
        let (answer, good) = (said(&payloads), said(before));
        for size in [1, 3, 64, answer.len()] {
            let (all, over) = heard(command, &answer, size, false).await;
            assert!(over, "{what}, in pieces of {size}");
            // The driver may hear the begin of the packet, and never the whole of it.
            assert!(all.len() < good.len() + last.len() + 4, "{what}, in pieces of {size}");
        }
    }
}

#[tokio::test]
async fn a_row_that_is_too_long_is_told_as_an_error() {
    let before = said(&[b"\x01", COLUMN, b"\0\0\x01x"]);
    let answer = [&before[..], &[0xff, 0xff, 0xff, 4], &vec![0; 100_000]].concat();
    let told = [&before[..], &framed(TOO_LONG, 1)].concat();
    for size in [1, 2, 3, 5, 64, answer.len()] {
        let (all, over) = heard(b"\x17", &answer, size, false).await;
        assert!(over && all == told, "in pieces of {size}: {}", all.len());
    }
}

#[tokio::test]
async fn a_driver_that_has_lost_its_place_is_cut_off() {
    let mut server = Bounded::new(Server(VecDeque::new()), false);
    let commands = |payloads: &[&[u8]]| -> Vec<u8> {
        payloads.iter().flat_map(|payload| framed(payload, 0).to_vec()).collect()
    };
    // A statement is given back while rows are due, and a session may end at any time.
    server.write_all(&commands(&[b"\x17...", b"\x19\x01\0\0\0", b"\x01"])).await.unwrap();
    assert!(server.write_all(&commands(&[b"\x03SELECT 1"])).await.is_err());
    // A second packet of one statement is no second command.
    let mut commands = Commands::default();
    let (mut found, mut long) = (Vec::new(), vec![0xff, 0xff, 0xff, 0, 0x17]);
    long.resize(4 + 0xff_ffff, 0x03);
    long.extend_from_slice(b"\x02\0\0\x01\x16\x16\x01\0\0\0\x0e");
    for piece in long.chunks(1021) {
        let keep = |command| {
            found.push(command);
            Some(())
        };
        commands.read(piece, keep).unwrap();
    }
    assert_eq!(found, [0x17, 0x0e]);
}

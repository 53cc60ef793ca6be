use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

/// A server that sends back what it gets, and how many bytes it got.
async fn echo() -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let got = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&got);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let counter = Arc::clone(&counter);
            tokio::spawn(async move {
                let mut buffer = [0_u8; 1024];
                while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                    counter.fetch_add(read as u64, Ordering::SeqCst);
                    let _ = stream.write_all(&buffer[..read]).await;
                }
            });
        }
    });
    (address, got)
}

async fn exchange(stream: &mut TcpStream, text: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(text).await?;
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn passes_and_delays() {
    let (server, _) = echo().await;
    let proxy = FaultProxy::start(server).await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(exchange(&mut stream, b"hello").await.unwrap(), b"hello");

    proxy.set(Fault::Delay(Duration::from_millis(50))).await;
    let before = tokio::time::Instant::now();
    assert_eq!(exchange(&mut stream, b"late").await.unwrap(), b"late");
    assert!(before.elapsed() >= Duration::from_millis(100), "both ways are delayed");
    drop(stream);
    assert_eq!(proxy.until(|c| c.open == 0).await, Counts { accepted: 1, open: 0 });
}

#[tokio::test]
async fn freezes_after_a_count_and_goes_on_when_healed() {
    let (server, _) = echo().await;
    let proxy = FaultProxy::start(server).await;
    proxy.set(Fault::Freeze { side: Side::Server, after: 3 }).await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    stream.write_all(b"abcdef").await.unwrap();
    let mut start = [0; 3];
    stream.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"abc");
    let more = tokio::time::timeout(Duration::from_millis(100), stream.read_u8()).await;
    assert!(more.is_err(), "nothing comes after the third byte");
    assert_eq!(proxy.counts().open, 1, "and the connection is still open");

    proxy.heal().await;
    let mut end = [0; 3];
    stream.read_exact(&mut end).await.unwrap();
    assert_eq!(&end, b"def");
}

#[tokio::test]
async fn a_frozen_line_hides_that_the_client_has_gone() {
    let (server, got) = echo().await;
    let proxy = FaultProxy::start(server).await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    exchange(&mut stream, b"1").await.unwrap();
    proxy.set(Fault::Freeze { side: Side::Both, after: 0 }).await;
    stream.write_all(b"22").await.unwrap();
    drop(stream);
    assert_eq!(proxy.counts().open, 1);
    assert_eq!(got.load(Ordering::SeqCst), 1);
    proxy.heal().await;
    proxy.until(|c| c.open == 0).await;
    assert_eq!(got.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn resets_open_connections_once_or_all_of_them() {
    let (server, _) = echo().await;
    let proxy = FaultProxy::start(server).await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    exchange(&mut stream, b"1").await.unwrap();
    proxy.reset_open().await;
    let fault = stream.read_u8().await.unwrap_err();
    assert_eq!(fault.kind(), std::io::ErrorKind::ConnectionReset);

    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    exchange(&mut stream, b"2").await.unwrap();
    proxy.set(Fault::Reset).await;
    assert!(exchange(&mut stream, b"3").await.is_err());
    let mut new = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(exchange(&mut new, b"4").await.is_err());
    proxy.heal().await;
    let mut new = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(exchange(&mut new, b"5").await.unwrap(), b"5");
}

#[tokio::test]
async fn half_closes_the_servers_side_only() {
    let (server, got) = echo().await;
    let proxy = FaultProxy::start(server).await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    exchange(&mut stream, b"1").await.unwrap();
    proxy.set(Fault::HalfClose).await;
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0, "the end of the stream");
    stream.write_all(b"234").await.unwrap();
    drop(stream);
    proxy.until(|c| c.open == 0).await;
    assert_eq!(got.load(Ordering::SeqCst), 4, "what the client sent still arrived");
}

#[tokio::test]
async fn refuses_and_listens_again_on_the_same_port() {
    let (server, _) = echo().await;
    let proxy = FaultProxy::start(server).await;
    let mut old = TcpStream::connect(proxy.address()).await.unwrap();
    exchange(&mut old, b"1").await.unwrap();
    proxy.set(Fault::Refuse).await;
    let refusal = TcpStream::connect(proxy.address()).await.unwrap_err();
    assert_eq!(refusal.kind(), std::io::ErrorKind::ConnectionRefused);
    assert_eq!(exchange(&mut old, b"2").await.unwrap(), b"2", "an open connection lives on");
    proxy.heal().await;
    let mut new = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(exchange(&mut new, b"3").await.unwrap(), b"3");
}

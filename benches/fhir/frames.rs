//! A proxy before PostgreSQL that counts the statements clients send (protocol 3.0, message formats).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

/// A running proxy.
pub struct Proxy {
    pub port: u16,
    statements: Arc<AtomicU64>,
}

impl Proxy {
    /// In front of a server on loopback without TLS.
    pub async fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let statements = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&statements);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let counted = Arc::clone(&counted);
                tokio::spawn(async move {
                    let server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                    let (mut from_client, mut to_client) = client.into_split();
                    let (mut from_server, mut to_server) = server.into_split();
                    let answers =
                        tokio::spawn(async move { copy(&mut from_server, &mut to_client).await });
                    let _ended = forward(&mut from_client, &mut to_server, &counted).await;
                    answers.abort();
                });
            }
        });
        Self { port, statements }
    }

    /// Statements seen so far: executions of prepared ones, and simple queries.
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::SeqCst)
    }
}

async fn forward<R, W>(from: &mut R, to: &mut W, counted: &AtomicU64) -> std::io::Result<()>
where
    R: AsyncReadExt + Unpin,
    W: AsyncWriteExt + Unpin,
{
    // The first message has no type.
    let mut typed = false;
    let mut body = Vec::new();
    loop {
        let kind = if typed { Some(from.read_u8().await?) } else { None };
        let length = from.read_u32().await?;
        body.resize(length as usize - 4, 0);
        from.read_exact(&mut body).await?;
        if matches!(kind, Some(b'E' | b'Q')) {
            counted.fetch_add(1, Ordering::SeqCst);
        }
        if let Some(kind) = kind {
            to.write_u8(kind).await?;
        }
        to.write_u32(length).await?;
        to.write_all(&body).await?;
        typed = true;
    }
}

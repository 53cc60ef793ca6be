//! A TCP proxy that breaks the network on command, in front of any server.
//!
//! ```text
//! let proxy = FaultProxy::start(server).await;      // clients connect to proxy.address()
//! proxy.set(Fault::Freeze { side: Side::Server, after: 100 }).await;
//! …                                                 // the server's answer stops after 100 bytes
//! proxy.heal().await;                               // and goes on where it stopped, nothing is lost
//! ```

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};

#[cfg(test)]
mod tests;

/// Whose bytes a fault concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// What the client sends.
    Client,
    /// What the server sends.
    Server,
    /// Both directions, each counted for itself.
    Both,
}

/// What the proxy does to all its connections, open and new, until it is told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    Pass,
    /// Each chunk read from one side waits this long before it is passed on.
    Delay(Duration),
    /// Of each connection's bytes only the first `after` pass; the rest, and the end of the stream, are
    /// held back as by a dead line. `after: 0` on a new connection looks like a server that accepts and
    /// says nothing.
    Freeze {
        /// Whose bytes are held.
        side: Side,
        /// Bytes since the connection began that still pass.
        after: u64,
    },
    /// Each connection is reset when so many more bytes of one side, counted from this order, have passed.
    Cut {
        /// Whose bytes are counted.
        side: Side,
        /// Bytes since the order, or since a later connection began, that still pass.
        after: u64,
    },
    /// Open connections are reset, new ones are reset as soon as they are accepted.
    Reset,
    /// The client sees the end of the server's stream; what it sends still arrives.
    HalfClose,
    /// The port is closed: new connections are refused. Open ones live on.
    Refuse,
}

/// A running proxy; it ends, with all its connections, when this value is dropped.
pub struct FaultProxy {
    address: SocketAddr,
    order: watch::Sender<Order>,
    obeyed: watch::Receiver<u64>,
    counts: watch::Receiver<Counts>,
    task: JoinHandle<()>,
    _place: TcpSocket,
}

/// What went through a proxy so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections open now.
    pub open: u64,
}

#[derive(Debug, Clone, Copy)]
struct Order {
    number: u64,
    fault: Fault,
    /// Raised to reset the connections that are open at that moment.
    resets: u64,
}

impl FaultProxy {
    /// Listens on a free port of 127.0.0.1 and passes everything on to `server`.
    pub async fn start(server: SocketAddr) -> Self {
        // Taken for as long as the proxy lives, and free for whoever listens there: while it refuses, nobody
        // else is given its port.
        let place = TcpSocket::new_v4().expect("a socket");
        place.set_reuseaddr(true).expect("an address for two");
        place.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let address = place.local_addr().expect("the proxy's address");
        let listener = TcpListener::bind(address).await.expect("bind the proxy");
        let (order, orders) = watch::channel(Order { number: 0, fault: Fault::Pass, resets: 0 });
        let (obey, obeyed) = watch::channel(0);
        let (count, counts) = watch::channel(Counts::default());
        let task = tokio::spawn(accept(listener, address, server, orders, obey, count));
        Self { address, order, obeyed, counts, task, _place: place }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, `fault`. When this returns the listener has obeyed; open connections obey before
    /// they pass another byte.
    pub async fn set(&self, fault: Fault) {
        self.command(|order| order.fault = fault).await;
    }

    /// No fault any more; bytes held back go on.
    pub async fn heal(&self) {
        self.set(Fault::Pass).await;
    }

    /// Resets the connections open now, once; later ones are served.
    pub async fn reset_open(&self) {
        self.command(|order| order.resets += 1).await;
    }

    /// The counts now.
    pub fn counts(&self) -> Counts {
        *self.counts.borrow()
    }

    /// Waits until the counts satisfy `wanted`.
    pub async fn until(&self, wanted: impl FnMut(&Counts) -> bool) -> Counts {
        *self.counts.clone().wait_for(wanted).await.expect("the proxy runs")
    }

    async fn command(&self, change: impl FnOnce(&mut Order)) {
        let mut number = 0;
        self.order.send_modify(|order| {
            change(order);
            order.number += 1;
            number = order.number;
        });
        self.obeyed.clone().wait_for(|done| *done >= number).await.expect("the proxy runs");
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    address: SocketAddr,
    server: SocketAddr,
    mut orders: watch::Receiver<Order>,
    obey: watch::Sender<u64>,
    count: watch::Sender<Counts>,
) {
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        let order = *orders.borrow_and_update();
        if order.fault == Fault::Refuse {
            listener = None;
        } else if listener.is_none() {
            listener = Some(TcpListener::bind(address).await.expect("bind the proxy's port again"));
        }
        obey.send_replace(order.number);
        tokio::select! {
            changed = orders.changed() => if changed.is_err() { return },
            Some(_) = connections.join_next() => count.send_modify(|c| c.open -= 1),
            Ok((client, _)) = next(listener.as_ref()) => {
                count.send_modify(|c| { c.accepted += 1; c.open += 1; });
                connections.spawn(connection(client, server, orders.clone()));
            }
        }
    }
}

async fn next(listener: Option<&TcpListener>) -> std::io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

async fn connection(mut client: TcpStream, server: SocketAddr, mut orders: watch::Receiver<Order>) {
    let resets = orders.borrow().resets;
    let reset = |order: &Order| order.fault == Fault::Reset || order.resets > resets;
    let Ok(mut upstream) = TcpStream::connect(server).await else {
        reset_by_closing(client);
        return;
    };
    // A proxy that waits to fill packets would add delays of its own.
    let _ = (client.set_nodelay(true), upstream.set_nodelay(true));
    let cut = Notify::new();
    let was_reset = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = upstream.split();
        let up = pump(from_client, to_server, Side::Client, orders.clone(), &cut);
        let down = pump(from_server, to_client, Side::Server, orders.clone(), &cut);
        tokio::select! {
            reset = async { orders.wait_for(reset).await.is_ok() } => reset,
            () = cut.notified() => true,
            _ = async { tokio::join!(up, down) } => false,
        }
    };
    if was_reset {
        reset_by_closing(client);
        reset_by_closing(upstream);
    }
}

/// Closes with a reset instead of an orderly end.
fn reset_by_closing(stream: TcpStream) {
    let _ = stream.set_zero_linger();
    drop(stream);
}

/// Passes one direction on, as far as the fault of the moment lets it.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    side: Side,
    mut orders: watch::Receiver<Order>,
    cut: &Notify,
) {
    let (mut number, mut before) = (orders.borrow().number, 0_u64);
    let mut buffer = vec![0_u8; 16 * 1024];
    let mut passed = 0_u64;
    let mut closed = false;
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read.unwrap_or(0),
            () = until_closed(&mut orders, side), if !closed => {
                closed = true;
                let _ = to.shutdown().await;
                continue;
            }
        };
        if closed {
            if read == 0 {
                return;
            }
            continue;
        }
        let mut rest = &buffer[..read];
        loop {
            let order = *orders.borrow_and_update();
            let fault = order.fault;
            if order.number != number {
                (number, before) = (order.number, passed);
            }
            let since = if matches!(fault, Fault::Cut { .. }) { passed - before } else { passed };
            let room = allowance(fault, side, since);
            if room == 0 {
                if matches!(fault, Fault::Cut { .. }) {
                    cut.notify_one();
                }
                if orders.changed().await.is_err() {
                    return;
                }
                continue;
            }
            if let Fault::Delay(delay) = fault {
                tokio::time::sleep(delay).await;
            }
            if rest.is_empty() {
                let _ = to.shutdown().await;
                return;
            }
            let now = rest.len().min(usize::try_from(room).unwrap_or(usize::MAX));
            if to.write_all(&rest[..now]).await.is_err() {
                return;
            }
            passed += now as u64;
            rest = &rest[now..];
            if rest.is_empty() {
                break;
            }
        }
    }
}

/// Waits for the order to end this direction.
async fn until_closed(orders: &mut watch::Receiver<Order>, side: Side) {
    let closes = |order: &Order| order.fault == Fault::HalfClose && side == Side::Server;
    if orders.wait_for(closes).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// How many more bytes may pass now.
fn allowance(fault: Fault, side: Side, passed: u64) -> u64 {
    match fault {
        Fault::Freeze { side: held, after } | Fault::Cut { side: held, after }
            if held == side || held == Side::Both =>
        {
            after.saturating_sub(passed)
        }
        _ => u64::MAX,
    }
}

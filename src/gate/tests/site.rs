//! A gate of the tests, which listens on loopback, and adopters that only collect.

use super::*;

pub fn route(id: u16) -> Arc<Endpoint> {
    compressing(id, Compression::DISABLED)
}

pub fn compressing(id: u16, compression: Compression) -> Arc<Endpoint> {
    let route = Route { id: RouteId(id), compression, ..test_route() };
    Arc::new(Endpoint { route: Arc::new(route), origins: Origins::Any })
}

pub struct Site {
    pub gate: Gate,
    pub routes: Routes,
    pub census: Arc<Census>,
    pub children: Arc<Children>,
    pub listener: ListenerId,
    pub address: SocketAddr,
    pub vacated: Receiver<()>,
    pub adopted: Vec<Receiver<Adoption>>,
    pub is_full: Arc<AtomicBool>,
    pub visits: Vec<Receiver<Visit>>,
    pub departures: Vec<Receiver<Pass>>,
    pub failures: Receiver<Failure>,
    pub budget: Arc<Budget>,
}

/// A gate that listens on loopback, with the routes `/chat` (1), `/room/:name` (2) and `/compressed`
/// (3), and two reactors.
pub fn site() -> Site {
    bounded_site(Bounds::default())
}

pub fn bounded_site(bounds: Bounds) -> Site {
    built_site(bounds, None)
}

pub fn built_site(bounds: Bounds, security: Option<Security>) -> Site {
    crowded_site(usize::MAX, bounds, security)
}

/// One that takes so many connections.
pub fn crowded_site(most_connections: usize, bounds: Bounds, security: Option<Security>) -> Site {
    site_with(most_connections, bounds, security, Budget::new(0))
}

/// One whose App has a memory budget.
pub fn thrifty_site(budget_bytes: usize) -> Site {
    site_with(usize::MAX, Bounds::default(), None, Budget::new(budget_bytes))
}

pub fn site_with(most_connections: usize, bounds: Bounds, security: Option<Security>, budget: Arc<Budget>) -> Site {
    let (vacant, vacated) = channel();
    let vacant = Mutex::new(vacant);
    let census = Census::bounded(most_connections, move || {
        let _ = vacant.lock().unwrap().send(());
    });
    let routes = Routes::new();
    routes.set_websocket("/chat", Some(route(1))).unwrap();
    routes.set_websocket("/room/:name", Some(route(2))).unwrap();
    routes.set_websocket("/compressed", Some(compressing(3, Compression::SHARED))).unwrap();
    let is_full = Arc::new(AtomicBool::new(false));
    let (mut adopters, mut adopted, mut visits, mut departures) = (vec![], vec![], vec![], vec![]);
    let (failure, failures) = channel();
    for _ in 0..2 {
        let ((adoption, adoptions), (visit, visit_receiver), (departure, departure_receiver)) =
            (channel(), channel(), channel());
        adopters.push(Arc::new(Collector {
            adoptions: Mutex::new(adoption),
            visits: Mutex::new(visit),
            departures: Mutex::new(departure),
            failures: Mutex::new(failure.clone()),
            is_full: is_full.clone(),
            budget: budget.clone(),
        }) as Arc<dyn Adopter>);
        adopted.push(adoptions);
        visits.push(visit_receiver);
        departures.push(departure_receiver);
    }
    let children = Arc::new(Children::default());
    let gate =
        Gate::start(routes.clone(), adopters, census.clone(), bounds, children.clone(), security, Box::new(|| {}))
            .unwrap();
    let socket = bind(&loopback(0)).unwrap();
    let address = socket.local_addr().unwrap();
    let listener = gate.listen(socket).unwrap();
    Site {
        gate,
        routes,
        census,
        children,
        listener,
        address,
        vacated,
        adopted,
        visits,
        departures,
        failures,
        is_full,
        budget,
    }
}

pub fn loopback(port: u16) -> Bind {
    Bind { host: Some("127.0.0.1".into()), port, exclusive: true }
}

impl Site {
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// The whole answer to these bytes, up to the end of the connection.
    pub fn answer_and_end(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// The gate's numbers, as soon as they are as wanted.
    pub fn when(&self, wanted: impl Fn(&Counts) -> bool) -> Counts {
        for _ in 0..PATIENCE.as_millis() / 5 {
            let counts = self.gate.counts();
            if wanted(&counts) {
                return counts;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("{:?}", self.gate.counts());
    }

    pub fn adopted(&self, reactor: usize) -> Adoption {
        self.adopted[reactor].recv_timeout(PATIENCE).unwrap()
    }
}

struct Collector {
    adoptions: Mutex<Sender<Adoption>>,
    is_full: Arc<AtomicBool>,
    visits: Mutex<Sender<Visit>>,
    departures: Mutex<Sender<Pass>>,
    failures: Mutex<Sender<Failure>>,
    budget: Arc<Budget>,
}

impl Adopter for Collector {
    fn adopt(&self, adoptions: &mut dyn Iterator<Item = Adoption>) {
        for adoption in adoptions {
            // The test may have ended with connections under way.
            let _ = self.adoptions.lock().unwrap().send(adoption);
        }
    }

    fn is_full(&self) -> bool {
        // ORDERING: a test's switch; nothing is published with it.
        self.is_full.load(Ordering::Relaxed)
    }

    fn budget(&self) -> Arc<Budget> {
        self.budget.clone()
    }

    fn visit(&self, visit: Visit) {
        let _ = self.visits.lock().unwrap().send(visit);
    }

    fn leave(&self, pass: Pass) {
        let _ = self.departures.lock().unwrap().send(pass);
    }

    fn report(&self, failure: Failure) {
        let _ = self.failures.lock().unwrap().send(failure);
    }
}

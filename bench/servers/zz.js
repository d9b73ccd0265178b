const t=require('../..'); const A=t.App; let app; t.App=(...a)=>app=A(...a);
require('./tidewire.js');
let p; setInterval(()=>{const s=app.stats(); const r=s.reactors?s.reactors[0]:s; const n=JSON.parse(JSON.stringify(r)); if(p){console.error('messages',n.messagesIn-p.messagesIn,'batches',n.batches-p.batches, 'per', ((n.messagesIn-p.messagesIn)/(n.batches-p.batches)).toFixed(1));} p=n;},1000);

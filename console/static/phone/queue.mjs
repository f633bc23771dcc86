// What was done on this phone and has not reached the server: rows of IndexedDB, in the order in which they were done. An act leaves the
// queue when the server has taken it, or when its person has seen why it was not taken.

const NAME = "gridcall";
const STORE = "acts";

let opening = null;

function opened() {
  opening ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id", autoIncrement: true });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  opening.catch(() => (opening = null));
  return opening;
}

async function within(mode, work) {
  const database = await opened();
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(STORE, mode, mode === "readwrite" ? { durability: "strict" } : undefined);
    const request = work(transaction.objectStore(STORE));
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = transaction.onerror = () => reject(transaction.error ?? request.error);
  });
}

// An act: { key, who, base, of (its case), step, title, fields, photo, device_at_ms }. On disk when this returns.
export const put = (act) => within("readwrite", (store) => store.put(act));
export const remove = (id) => within("readwrite", (store) => store.delete(id));
export const all = () => within("readonly", (store) => store.getAll());

export async function waiting(who) {
  return (await all()).filter((act) => act.who === who && !act.refused);
}

export async function refused(who) {
  return (await all()).filter((act) => act.who === who && act.refused);
}

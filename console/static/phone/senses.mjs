// Where the phone is, as it knows.

const PLACE_AGE_MS = 20_000;

// Fields of `arrive`; none where the phone doesn't know, or may not say.
export function place(withinMs) {
  return new Promise((resolve) => {
    if (!navigator.geolocation) resolve({});
    navigator.geolocation?.getCurrentPosition(
      ({ coords }) => resolve({ lat: coords.latitude, lon: coords.longitude, error_m: coords.accuracy }),
      () => resolve({}),
      { enableHighAccuracy: true, timeout: withinMs, maximumAge: PLACE_AGE_MS },
    );
    setTimeout(() => resolve({}), withinMs + 1000); // a question that nobody answers
  });
}

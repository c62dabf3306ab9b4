// Of the engine, which Node-API does not reach: collects all garbage of the calling thread, and forgets code that has not run
// lately. The flag that offers as much to JavaScript (--expose-gc) would have the engine refuse the compiled code of Node's own
// modules, since its flags differ from those it was built with: 25 ms more for every thread that starts.
#include <v8-isolate.h>

extern "C" void skerry_collect(void) { v8::Isolate::GetCurrent()->LowMemoryNotification(); }

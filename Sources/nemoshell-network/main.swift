import Glibc
import NemoNetworkHook

exit(NetworkHookProgram.main())
